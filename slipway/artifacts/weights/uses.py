"""Who names which weights: the catalog, every revision that is kept, the routes.

Belongs here: reading references, all of them or none.
Does not: what follows from them (garbage.py), leases (claims.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slipway.artifacts.errors import ArtifactError
from slipway.catalog import Adapter, Catalog, Model
from slipway.catalog.fields import is_pinned, split_revision
from slipway.objectstore import ObjectStore
from slipway.records import revisions, routes
from slipway.records.revisions import Revision
from slipway.records.routes import RouteTableError

CATALOG = "catalog"


class UnknownReferencesError(ArtifactError):
    """What is needed cannot be known, so nothing may be removed."""


@dataclass(frozen=True)
class References:
    """Who names weights: by (name, commit); `moving` are names whose source moves, such as a branch.

    Of a moving one the catalog names no commit, so the collector keeps what was pulled last.
    """

    named: Mapping[tuple[str, str], tuple[str, ...]]
    moving: frozenset[str] = frozenset()

    def of(self, name: str, commit: str) -> tuple[str, ...]:
        """Who names these weights, for people."""
        return self.named.get((name, commit), ())


def read(catalog: Catalog, store: ObjectStore) -> References:
    """The references of a catalog and of a store; raises UnknownReferencesError, ObjectStoreError."""
    artifacts: list[Model | Adapter] = [each for each in catalog.models if each.host_locally]
    artifacts += catalog.adapters
    found = {
        (each.name, str(split_revision(each.source)[1])): (CATALOG,)
        for each in artifacts
        if is_pinned(each.source)
    }
    for artifact, holder in _of_revisions(store):
        found[artifact] = (*found.get(artifact, ()), holder)
    return References(found, frozenset(each.name for each in artifacts if not is_pinned(each.source)))


def _of_revisions(store: ObjectStore) -> list[tuple[tuple[str, str], str]]:
    """(name and commit, holder) for every record. Any record counts: a rollback may come to each of them."""
    routed = _routed(store)
    found: list[tuple[tuple[str, str], str]] = []
    seen: set[tuple[str, str]] = set()
    for item in list(store.list(revisions.PREFIX)):
        body = store.get(item.key)
        if body is None:
            continue  # pruned since it was listed
        revision = _decoded(item.key, body, store)
        identity = (revision.deployment, revision.spec_digest)
        seen.add(identity)
        holder = f"{'routed ' if identity in routed else ''}revision {identity[0]} {identity[1][:8]}"
        found += [(artifact, holder) for artifact in _artifacts(revision)]
    lost = sorted(routed - seen)
    if lost:
        raise UnknownReferencesError(
            f"{routes.KEY} in bucket {store.location.bucket}: routes {lost[0][0]} to revision "
            f"{lost[0][1][:8]}, which has no record under {revisions.PREFIX}, so its weights are not known. "
            f"Materialize rollout/{lost[0][0]}, endpoint/{lost[0][0]} and gateway/routes, then run this "
            "again."
        )
    return found


def _artifacts(revision: Revision) -> Iterable[tuple[str, str]]:
    spec = revision.spec
    return ((str(each["name"]), str(each["commit"])) for each in (spec["model"], *spec.get("adapters", ())))


def _decoded(key: str, body: bytes, store: ObjectStore) -> Revision:
    try:
        revision = revisions.decode(body)
        list(_artifacts(revision))
        return revision
    except (ValueError, KeyError, TypeError) as error:
        raise UnknownReferencesError(
            f"{key} in bucket {store.location.bucket}: not a revision's record ({error!r}), so its weights "
            "are not known. Remove this object if nothing serves it, then run this again."
        ) from error


def _routed(store: ObjectStore) -> frozenset[tuple[str, str]]:
    body = store.get(routes.KEY)
    if body is None:
        return frozenset()
    try:
        table = routes.parse(body)
    except RouteTableError as error:
        raise UnknownReferencesError(
            f"{routes.KEY} in bucket {store.location.bucket}: {error} Materialize gateway/routes, then run "
            "this again."
        ) from error
    return frozenset((route.deployment, route.revision) for route in table.routes)

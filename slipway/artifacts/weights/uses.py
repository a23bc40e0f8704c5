"""Who names which weights: the catalog, every revision that is kept, the routes.

Belongs here: reading who names them, all or none.
Does not: what follows from it (retention.py), leases (claims.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.artifacts.garbage import UnknownUsesError, used_by_revisions
from slipway.catalog import Adapter, Catalog, Model
from slipway.catalog.fields import is_pinned, split_revision
from slipway.objectstore import ObjectStore
from slipway.records import revisions
from slipway.records.route_store import RouteStore
from slipway.records.routes import RouteTableError

CATALOG = "catalog"


@dataclass(frozen=True)
class Uses:
    """Who names weights: by (name, commit); `moving` are names whose source moves, such as a branch.

    Of a moving one the catalog names no commit, so the collector keeps what was pulled last.
    """

    named: Mapping[tuple[str, str], tuple[str, ...]]
    moving: frozenset[str] = frozenset()

    def of(self, name: str, commit: str) -> tuple[str, ...]:
        """Who names these weights, for people."""
        return self.named.get((name, commit), ())


def read(catalog: Catalog, store: ObjectStore) -> Uses:
    """The uses by a catalog and by what a store records; raises UnknownUsesError, ObjectStoreError."""
    artifacts: list[Model | Adapter] = [model for model in catalog.models if model.host_locally]
    artifacts += catalog.adapters
    named: dict[tuple[str, str], tuple[str, ...]] = {
        (artifact.name, str(split_revision(artifact.source)[1])): (CATALOG,)
        for artifact in artifacts
        if is_pinned(artifact.source)
    }
    for weights, holder in _of_revisions(store):
        named[weights] = (*named.get(weights, ()), holder)
    moving = frozenset(artifact.name for artifact in artifacts if not is_pinned(artifact.source))
    return Uses(named, moving)


def _of_revisions(store: ObjectStore) -> list[tuple[tuple[str, str], str]]:
    """(name and commit, holder) for every record; none of those that are routed may be lost."""
    routed = _routed(store)
    named: list[tuple[tuple[str, str], str]] = []
    recorded: set[tuple[str, str]] = set()
    for revision, used in used_by_revisions(store, lambda revision: revision.artifacts):
        identity = (revision.deployment, revision.spec_digest)
        recorded.add(identity)
        holder = f"{'routed ' if identity in routed else ''}revision {identity[0]} {identity[1][:8]}"
        named += [(weights, holder) for weights in used]
    lost = sorted(routed - recorded)
    if lost:
        deployment, spec_digest = lost[0]
        raise UnknownUsesError(
            f"The route table in bucket {store.location.bucket} leads {deployment} to revision "
            f"{spec_digest[:8]}, which has no record under {revisions.PREFIX}, so its weights are not known. "
            f"Roll {deployment} out and route it again, then run this again."
        )
    return named


def _routed(store: ObjectStore) -> frozenset[tuple[str, str]]:
    try:
        _, table = RouteStore(store).latest()
    except RouteTableError as error:
        raise UnknownUsesError(f"{error} Then run this again.") from error
    return frozenset((route.deployment, route.revision) for route in table.routes)

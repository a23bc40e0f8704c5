"""Revisions: what was rolled out, with its evidence, one record per deployment and spec digest in S3.

Belongs here: the record, its place, and which one is the last good.
Does not: making revisions serve (slipway.control.rollout), routing to them (slipway.control.routing).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal

from slipway.catalog.resolved import ResolvedDeployment
from slipway.objectstore import ObjectStore

PREFIX = "revisions/"

Strategy = Literal["blue-green", "in-place"]
# withdrawn: taken back by hand; it is not rolled out again by itself.
State = Literal["applied", "validated", "failed", "withdrawn"]


class UnreadableRevisionError(ValueError):
    """An object among the records that is none; the message names it and says what to do."""

    def __init__(self, key: str, bucket: str, cause: Exception) -> None:
        super().__init__(
            f"{key} in bucket {bucket}: not a revision's record ({cause!r}). Restore this object, or remove "
            "it if nothing serves it."
        )
        self.key = key


@dataclass(frozen=True)
class Applied:
    """An application as it is sent to the cluster: enough to bring it back without the catalog of then."""

    application: str
    deployment: str
    spec_digest: str
    rendered: Mapping[str, Any]


@dataclass(frozen=True)
class Revision:
    """One spec of a deployment as it was rolled out. Instants are ISO 8601 in UTC.

    `upstream` is the OpenAI base URL; `served_names` are what its engine is asked for: the
    deployment's own name, then its adapters'; tenants may know them by others (routes).
    `spec` is the catalog's side (ResolvedDeployment), `rendered` what the cluster was given.
    """

    deployment: str
    spec_digest: str
    application: str
    strategy: Strategy
    upstream: str
    served_names: tuple[str, ...]
    state: State
    spec: Mapping[str, Any]
    rendered: Mapping[str, Any]
    applied_at: str
    validated_at: str | None = None
    failed_at: str | None = None
    cause: str | None = None
    evidence: tuple[Mapping[str, Any], ...] = ()

    @property
    def applied(self) -> Applied:
        """What a data plane needs to bring this revision back."""
        return Applied(self.application, self.deployment, self.spec_digest, self.rendered)

    @property
    def artifacts(self) -> tuple[tuple[str, str], ...]:
        """Name and commit of the weights that it serves: of its model, then of its adapters."""
        named = (self.spec["model"], *self.spec.get("adapters", ()))
        return tuple((str(artifact["name"]), str(artifact["commit"])) for artifact in named)

    @property
    def images(self) -> tuple[Mapping[str, Any], ...]:
        """Images of its engine as the catalog named them then, for every accelerator."""
        return tuple((self.spec["engine"].get("images") or {}).values())

    @property
    def task(self) -> str:
        """What the model does; records of text generation do not always say it."""
        return str(self.spec.get("task", "text-generation"))

    @property
    def engine_names(self) -> Mapping[str, str]:
        """The engine's own name of each served name that it does not know as it is."""
        names: Mapping[str, str] = self.rendered.get("engine_names") or {}
        return {name: own for name, own in names.items() if own != name}

    def encode(self) -> bytes:
        """The record as it lies in the store."""
        return json.dumps({"schema": 1, **asdict(self)}, indent=1, sort_keys=True).encode()


def of(resolved: ResolvedDeployment, applied: Applied, upstream: str, now: datetime) -> Revision:
    """The record of a spec that serves, and has not been validated."""
    return Revision(
        deployment=resolved.name,
        spec_digest=resolved.spec_digest,
        application=applied.application,
        strategy=resolved.deployment.rollout.strategy,
        upstream=upstream,
        served_names=resolved.deployment.served_names,
        state="applied",
        spec=resolved.model_dump(mode="json", by_alias=True),
        rendered=applied.rendered,
        applied_at=now.astimezone(UTC).isoformat(),
    )


def validated(revision: Revision, evidence: tuple[Mapping[str, Any], ...], now: datetime) -> Revision:
    """The same revision with its evidence, allowed to receive tenants' traffic."""
    at = now.astimezone(UTC).isoformat()
    return replace(
        revision, state="validated", validated_at=at, failed_at=None, cause=None, evidence=evidence
    )


def failed(
    revision: Revision, cause: str, now: datetime, evidence: tuple[Mapping[str, Any], ...] = ()
) -> Revision:
    """The same revision, known not to be good, and why."""
    at = now.astimezone(UTC).isoformat()
    return replace(revision, state="failed", validated_at=None, failed_at=at, cause=cause, evidence=evidence)


def withdrawn(revision: Revision, now: datetime) -> Revision:
    """The same revision, taken back by hand: good, and not wanted."""
    cause = f"taken back by hand at {now.astimezone(UTC).isoformat(timespec='seconds')}"
    return replace(revision, state="withdrawn", cause=cause)


def resumed(revision: Revision) -> Revision:
    """The same revision, wanted again; it is validated anew before it has traffic."""
    return replace(revision, state="applied", cause=None)


class RevisionStore:
    """The records of all deployments in one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(self, deployment: str, spec_digest: str) -> Revision | None:
        """The record of one spec; None when it was never rolled out."""
        return self._read(_key(deployment, spec_digest))

    def put(self, revision: Revision) -> Revision:
        """Write the record, replacing an earlier one of the same spec; returns it."""
        key = _key(revision.deployment, revision.spec_digest)
        self._store.put(key, revision.encode(), content_type="application/json")
        return revision

    def all(self, deployment: str) -> list[Revision]:
        """Every record of the deployment, the last applied first."""
        recorded = (revision for _, revision in self._under(f"{PREFIX}{deployment}/"))
        return sorted(recorded, key=lambda revision: revision.applied_at, reverse=True)

    def everything(self) -> Iterator[tuple[str, Revision]]:
        """Every record of every deployment with its key, in the order of keys.

        Raises UnreadableRevisionError at one that cannot be read: who must know them all may not pass it.
        """
        yield from self._under(PREFIX)

    def last_good(self, deployment: str, *, other_than: str | None = None) -> Revision | None:
        """The revision that was validated last; `other_than` leaves one spec digest out."""
        return last_good(self.all(deployment), other_than=other_than)

    def prune(self, deployment: str, keep: int) -> list[str]:
        """Remove all records but those kept for rolling back (`to_keep`); returns the removed digests."""
        records = self.all(deployment)
        kept = to_keep(records, keep)
        removed = [each.spec_digest for each in records if each.spec_digest not in kept]
        for digest in removed:
            self._store.delete(_key(deployment, digest))
        return removed

    def forget(self, deployment: str) -> None:
        """Remove every record of a deployment that is gone from the catalog."""
        for stored in list(self._store.list(f"{PREFIX}{deployment}/")):
            self._store.delete(stored.key)

    def _under(self, prefix: str) -> Iterator[tuple[str, Revision]]:
        for key in [stored.key for stored in self._store.list(prefix)]:
            revision = self._read(key)
            if revision is not None:  # pruned since it was listed
                yield key, revision

    def _read(self, key: str) -> Revision | None:
        body = self._store.get(key)
        if body is None:
            return None
        try:
            return decode(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableRevisionError(key, self._store.location.bucket, error) from error


def last_good(records: Sequence[Revision], *, other_than: str | None = None) -> Revision | None:
    """Of these, the one validated last; a failed one is never good, whatever it was before."""
    good = [each for each in records if each.state == "validated" and each.spec_digest != other_than]
    return max(good, key=lambda each: each.validated_at or "", default=None)


def to_keep(records: Sequence[Revision], keep: int) -> frozenset[str]:
    """Digests to keep: the `keep` validated last, and the one applied last, whatever became of it."""
    good = sorted(
        (record for record in records if record.state == "validated"),
        key=lambda record: record.validated_at or "",
        reverse=True,
    )
    newest = sorted(records, key=lambda each: each.applied_at, reverse=True)[:1]
    return frozenset(each.spec_digest for each in (*good[:keep], *newest))


def decode(body: bytes) -> Revision:
    """A record from its bytes; fields that a later version added are left aside.

    Raises ValueError, KeyError or TypeError for anything else.
    """
    read: dict[str, Any] = json.loads(body)
    known = {field.name: read[field.name] for field in fields(Revision) if field.name in read}
    known["served_names"] = tuple(known["served_names"])
    known["evidence"] = tuple(known.get("evidence", ()))
    return Revision(**known)


def _key(deployment: str, spec_digest: str) -> str:
    return f"{PREFIX}{deployment}/{spec_digest}.json"

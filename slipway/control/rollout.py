"""The order of a rollout: apply, wait, record; and what happens when it fails, or when an old one retires.

Belongs here: what is done when, so that a run killed at any point is completed or undone by the next.
Does not: one cluster's ways (a DataPlane), judging answers (slipway.dataplane.validation), routes
(routing.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from slipway.catalog.resolved import ResolvedDeployment
from slipway.dataplane.errors import DataPlaneError, NotServingError, RolloutFailedError
from slipway.dataplane.protocol import DataPlane, Progress, Report
from slipway.dataplane.validation.validation import CheckResult
from slipway.records import revisions as records
from slipway.records.revisions import Applied, Revision, RevisionStore

_DRAIN_POLL_S = 0.25


def roll_out(
    plane: DataPlane, revisions: RevisionStore, resolved: ResolvedDeployment, report: Report
) -> Revision:
    """Bring the data plane to this spec and record it as applied; a spec that serves already is left alone.

    Nothing is recorded before it serves, and every step does nothing when it is done: so a run that was
    killed is completed by the next. On failure the new application is removed (blue-green) or the last good
    revision is applied again (in-place), unless `automatic_rollback` is off, and RolloutFailedError says why
    and what serves now.
    """
    wanted = plane.render(resolved)
    rollout = resolved.deployment.rollout
    recorded = revisions.get(resolved.name, resolved.spec_digest)
    if recorded is not None and recorded.state in ("failed", "withdrawn"):
        _restore_lost(plane, revisions, recorded, report, rollout.deadline_s)
    if recorded is not None and recorded.state == "withdrawn":
        raise RolloutFailedError(
            f"{resolved.name}: spec {resolved.spec_digest[:8]} was {recorded.cause}. Change the deployment, "
            f"or run `slipway resume {resolved.name}`."
        )
    was_there = plane.diff(wanted).action == "none"
    plane.apply(wanted)
    revision = records.of(resolved, wanted, plane.endpoint(wanted), _now())
    try:
        plane.wait(wanted, rollout.deadline_s, report)
    except NotServingError as error:
        raise _failed(
            plane, revisions, records.failed(revision, str(error), _now()), report, resolved
        ) from error
    if was_there and recorded is not None and recorded.state != "failed":
        return recorded
    return revisions.put(revision)


def _restore_lost(
    plane: DataPlane, revisions: RevisionStore, failed: Revision, report: Report, deadline_s: float
) -> None:
    """Before a spec that failed is tried again: if what tenants use is gone, that comes first."""
    good = revisions.last_good(failed.deployment, other_than=failed.spec_digest)
    if good is None or good.application == failed.application:
        return
    if good.application not in {live.name for live in plane.status(failed.deployment)}:
        plane.roll_back(good.applied, deadline_s, report)


def record_validation(
    plane: DataPlane,
    revisions: RevisionStore,
    revision: Revision,
    results: Sequence[CheckResult],
    report: Report,
    *,
    automatic_rollback: bool = True,
    deadline_s: float = 900,
) -> Revision:
    """Record what validation found. When a check failed the revision is undone as in `roll_out`.

    Returns the record, validated or failed; the caller says which checks failed.
    """
    evidence = tuple(asdict(result) for result in results)
    bad = [result for result in results if not result.passed]
    if not bad:
        return revisions.put(records.validated(revision, evidence, _now()))
    cause = "; ".join(f"{result.name}: {result.message}" for result in bad)
    failed = revisions.put(records.failed(revision, cause, _now(), evidence))
    if automatic_rollback:
        _undo(plane, revisions, failed, report, deadline_s)
    return failed


def retire(
    plane: DataPlane,
    revisions: RevisionStore,
    deployment: str,
    keep: frozenset[str],
    in_flight: Callable[[], int],
    drain_s: float,
    report: Report,
    *,
    keep_revisions: int = 3,
) -> tuple[str, ...]:
    """Take the deployment's applications away, but not those of the digests to `keep`; returns their names.

    Call it when the route has moved, and keep what is routed and what is being rolled out. Waits until
    `in_flight` (requests on the old ones) is zero, at most `drain_s`. The records of `keep_revisions` stay
    for rolling back; their applications are parked at zero where the plane can, the others removed.
    """
    old = [live for live in plane.status(deployment) if live.spec_digest not in keep]
    running = frozenset(live.name for live in old if not live.is_parked)
    if running:
        _drain(min(running), in_flight, drain_s, report)
    kept = _rolled_back_to(revisions.all(deployment), keep_revisions)
    to_park = frozenset(live.name for live in old if live.spec_digest in kept)
    to_delete = frozenset(live.name for live in old) - to_park
    if to_park & running:
        to_delete |= plane.park(to_park & running, report)
    if to_delete:
        plane.delete(to_delete, report)
    revisions.prune(deployment, keep_revisions)
    return tuple(sorted(running | to_delete))


def _rolled_back_to(recorded: Sequence[Revision], keep_revisions: int) -> frozenset[str]:
    """Digests that a person or a failure may go back to: the validated ones that are kept."""
    kept = records.to_keep(list(recorded), keep_revisions)
    return frozenset(each.spec_digest for each in recorded if each.state == "validated") & kept


def delete(plane: DataPlane, revisions: RevisionStore, deployment: str, report: Report) -> tuple[str, ...]:
    """Remove a deployment that is gone from the catalog: its applications, then its records."""
    names = frozenset(live.name for live in plane.status(deployment))
    if names:
        plane.delete(names, report)
    revisions.forget(deployment)
    return tuple(sorted(names))


def _drain(name: str, in_flight: Callable[[], int], drain_s: float, report: Report) -> None:
    end = time.monotonic() + drain_s
    told = -1
    while (count := in_flight()) > 0:
        if count != told:
            report(Progress(name, "draining", 0, 0, f"{count} requests in flight"))
            told = count
        if time.monotonic() >= end:
            report(Progress(name, "draining", 0, 0, f"stopped after {drain_s:g} s with {count} in flight"))
            return
        time.sleep(_DRAIN_POLL_S)


def _failed(
    plane: DataPlane,
    revisions: RevisionStore,
    failed: Revision,
    report: Report,
    resolved: ResolvedDeployment,
) -> RolloutFailedError:
    """Undo first, record then: a run killed in between finds the spec not serving, and undoes it again."""
    rollout = resolved.deployment.rollout
    outcome = "automatic_rollback is off: nothing was undone."
    if rollout.automatic_rollback:
        try:
            outcome = _undo(plane, revisions, failed, report, rollout.deadline_s)
        except DataPlaneError as error:  # the cause of the rollout's failure must still be told
            outcome = f"It could not be undone: {error} The next rollout tries again."
    revisions.put(failed)
    return RolloutFailedError(f"{failed.deployment}: {failed.cause}\n{outcome}")


def _undo(
    plane: DataPlane, revisions: RevisionStore, failed: Revision, report: Report, deadline_s: float
) -> str:
    """Take a bad revision away; the sentence says what serves now."""
    good = revisions.last_good(failed.deployment, other_than=failed.spec_digest)
    if good is not None and good.application == failed.application:
        return _reapply(plane, good, report, deadline_s)
    plane.delete(frozenset({failed.application}), report)
    removed = f"{failed.application} was removed. "
    live = {application.name for application in plane.status(failed.deployment) if application.is_serving}
    if good is not None and good.application not in live:
        return removed + _reapply(plane, good, report, deadline_s)
    if good is not None:
        return removed + f"The last good revision {good.spec_digest[:8]} still serves."
    unproven = f"{', '.join(sorted(live))} runs, but was never validated" if live else "nothing serves"
    return removed + f"No earlier revision is known to be good: {unproven}."


def _reapply(plane: DataPlane, good: Revision, report: Report, deadline_s: float) -> str:
    applied: Applied = good.applied
    try:
        plane.roll_back(applied, deadline_s, report)
    except NotServingError as error:
        return f"The last good revision {good.spec_digest[:8]} was applied again and does not serve: {error}"
    return f"The last good revision {good.spec_digest[:8]} was applied again and serves."


def _now() -> datetime:
    return datetime.now(UTC)

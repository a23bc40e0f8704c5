"""Going back by hand: an earlier revision serves again, and what it replaces is withdrawn.

Belongs here: choosing the revision, the order of steps, the records. Does not: routes, the command line.
A withdrawn spec is left alone by drift repair until the catalog changes, or somebody resumes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from slipway.dataplane.errors import DataPlaneError, RolloutFailedError
from slipway.dataplane.protocol import DataPlane, Report
from slipway.dataplane.validation.validation import CheckResult
from slipway.records import revisions as records
from slipway.records.revisions import Revision, RevisionStore

Validate = Callable[[Revision], Sequence[CheckResult]]


def chosen(recorded: Sequence[Revision], routed: str | None, to: str | None) -> Revision:
    """The revision to go back to: the one whose digest begins with `to`, else the last good other one.

    Raises DataPlaneError when there is none, or several begin so.
    """
    good = [each for each in recorded if each.validated_at is not None and each.state != "failed"]
    if to is not None:
        found = [each for each in good if each.spec_digest.startswith(to)]
    else:
        last = records.last_good(good, other_than=routed)
        found = [last] if last is not None else []
    if len(found) == 1:
        return found[0]
    known = ", ".join(each.spec_digest[:8] for each in good if each.spec_digest != routed) or "none"
    what = "no earlier revision" if to is None else f"{len(found)} revisions begin with {to}"
    raise DataPlaneError(f"Cannot go back: {what}; validated and kept are {known}. Name one of them.")


def return_to(
    plane: DataPlane,
    revisions: RevisionStore,
    good: Revision,
    validate: Validate,
    deadline_s: float,
    report: Report,
) -> Revision:
    """Bring `good` back, see that it answers, and record it as the last validated one; the others withdraw.

    The routes may be switched to what is returned. Nothing is withdrawn before it serves, so that a run that
    was cut off is run again. Raises NotServingError or RolloutFailedError, with tenants where they were.
    """
    plane.roll_back(good.applied, deadline_s, report)
    results = validate(good)
    bad = "; ".join(f"{each.name}: {each.message}" for each in results if not each.passed)
    if bad:
        raise RolloutFailedError(
            f"{good.deployment}: revision {good.spec_digest[:8]} is back and does not answer: {bad}. The "
            "routes stay as they are."
        )
    now = datetime.now(UTC)
    back = revisions.put(records.validated(good, tuple(asdict(each) for each in results), now))
    for each in revisions.all(good.deployment):
        if each.state == "validated" and each.spec_digest != good.spec_digest and _is_newer(each, good):
            revisions.put(records.withdrawn(each, now))
    return back


def _is_newer(one: Revision, other: Revision) -> bool:
    return one.applied_at > other.applied_at


def resume(revisions: RevisionStore, deployment: str) -> tuple[str, ...]:
    """Let withdrawn specs be rolled out again; returns their digests."""
    found = [each for each in revisions.all(deployment) if each.state == "withdrawn"]
    for each in found:
        revisions.put(records.resumed(each))
    return tuple(each.spec_digest for each in found)

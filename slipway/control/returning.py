"""Going back by hand, pausing and resuming: an earlier revision serves again, what it replaces is withdrawn.

Belongs here: choosing the revision, the order of steps, the records. Does not: the command line.
A withdrawn spec is left alone by drift repair until the catalog changes, or somebody resumes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from slipway.catalog import Catalog
from slipway.control import routing
from slipway.control.connections import Connections
from slipway.dataplane.errors import DataPlaneError, RolloutFailedError
from slipway.dataplane.protocol import DataPlane, Report
from slipway.dataplane.validation import validation
from slipway.dataplane.validation.validation import CheckResult
from slipway.records import revisions as records
from slipway.records.revisions import Revision, RevisionStore

Validate = Callable[[Revision], Sequence[CheckResult]]


def roll_back(
    at: Connections, catalog: Catalog, name: str, to: str | None, report: Report, say: Callable[[str], None]
) -> Revision:
    """Let an earlier revision of one deployment serve, have its route, and be reached by every gateway.

    Nothing else in the route table changes, and nothing of it that was not asked for is published.
    Raises LookupError, DataPlaneError or RoutesNotLoadedError; before the route is switched, with tenants
    where they were.
    """
    deployment = next((each for each in catalog.deployments if each.name == name), None)
    if deployment is None:
        raise LookupError(f"{name}: no such deployment in the catalog.")
    gateways = at.gateways  # before anything changes: it may lack a setting
    routed = routing.routed_digests(at.routes.latest().table).get(name)
    good = chosen(at.revisions.all(name), routed, to)
    rollout = deployment.rollout
    back = return_to(
        at.planes,
        at.revisions,
        good,
        lambda revision: validation.validate(revision, rollout.validation),
        rollout.deadline_s,
        report,
    )
    target = routing.target_of(back)
    published = at.routes.change(lambda table: routing.switched(table, catalog, deployment, target))
    at.planes.publish(back.applied)
    # Last: a gateway that is away takes the table when it is back, and nothing is left to be done then.
    gateways.wait_until_loaded(published.number, say)
    return back


def pause(at: Connections, name: str) -> tuple[str, ...]:
    """Let rollouts on Kubernetes stand still, their deadlines too; returns what was paused.

    Raises LookupError where there is nothing that can.
    """
    paused = [
        application
        for cluster in at.planes.kubernetes()
        for application in cluster.people().pause(name, paused=True)
    ]
    if not paused:
        raise LookupError(f"{name}: nothing of it is on Kubernetes, and plain Ray cannot pause.")
    return tuple(paused)


def go_on(at: Connections, name: str) -> tuple[str, ...]:
    """Let paused rollouts go on and withdrawn specs be rolled out again; returns the digests of these."""
    for cluster in at.planes.kubernetes():
        cluster.people().pause(name, paused=False)
    return resume(at.revisions, name)


def chosen(recorded: Sequence[Revision], routed: str | None, to: str | None) -> Revision:
    """The revision to go back to: the one whose digest begins with `to`, else the last good other one.

    Raises DataPlaneError when there is none, or several begin so.
    """
    good = [each for each in recorded if each.validated_at is not None and each.state != "failed"]
    if to is not None:
        fitting = [each for each in good if each.spec_digest.startswith(to)]
    else:
        last = records.last_good(good, other_than=routed)
        fitting = [last] if last is not None else []
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(each.spec_digest[:8] for each in good if each.spec_digest != routed)
    if not known and to is None:
        raise DataPlaneError(
            "Cannot go back: no earlier revision that was validated is kept. Correct the catalog instead: "
            "the next rollout replaces what serves."
        )
    if to is None:
        raise DataPlaneError(
            f"Cannot go back: nothing says which revision was last. Give --to one of {known}."
        )
    what = f"{len(fitting)} kept revisions begin" if fitting else "no kept revision begins"
    choice = f"Give --to enough digits of one of {known}" if known else "None but what serves is kept"
    raise DataPlaneError(f"Cannot go back: {what} with {to}. {choice}.")


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
    for other in revisions.all(good.deployment):
        if other.state == "validated" and other.spec_digest != good.spec_digest and _is_newer(other, good):
            revisions.put(records.withdrawn(other, now))
    return back


def _is_newer(one: Revision, other: Revision) -> bool:
    return one.applied_at > other.applied_at


def resume(revisions: RevisionStore, deployment: str) -> tuple[str, ...]:
    """Let withdrawn specs be rolled out again; returns their digests."""
    withdrawn = [each for each in revisions.all(deployment) if each.state == "withdrawn"]
    for revision in withdrawn:
        revisions.put(records.resumed(revision))
    return tuple(each.spec_digest for each in withdrawn)

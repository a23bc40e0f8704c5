"""Whether a month may be closed: pure, from what was read, and every reason why not.

Belongs here: the judgement and its words. Does not: reading (slipway.control.billing), closing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from slipway.billing.months import end_of, month_of, start_of
from slipway.metering.checks import CheckResult
from slipway.metering.fingerprint import fingerprint
from slipway.metering.staleness import SETTLED_AFTER, RolledUp, differs, lost_objects, unfinished

_NOTHING = (fingerprint(()), 0)


class NotReadyError(RuntimeError):
    """The month cannot be closed; the message lists everything that holds it up."""


@dataclass(frozen=True)
class Facts:
    """What a judgement looks at. `wanted` are the hours of the month that must be final.

    `shipped` is the fingerprint and number of an hour's usage objects in the store, where it has any.
    """

    month: str
    now: datetime
    last_closed: str | None
    months_with_cost: Sequence[str]
    wanted: Sequence[datetime]
    rolled_up: Mapping[datetime, RolledUp]
    shipped: Mapping[datetime, tuple[str, int]]
    checks: Sequence[CheckResult] = ()


def not_over(month: str, now: datetime) -> str | None:
    """Why the calendar holds the month up; None when it is over and the last usage can have been shipped."""
    if now < start_of(month):
        return f"{month} is in the future"
    ends = end_of(month) + SETTLED_AFTER
    return f"{month} is not over; it can be closed from {ends:%Y-%m-%dT%H:%MZ} on" if now < ends else None


def holds_up(facts: Facts) -> list[str]:
    """Everything that holds the closing up, each with what to do; empty when the month may be closed."""
    early = not_over(facts.month, facts.now)
    if early is not None:
        return [early]
    return [*_order(facts), *_hours(facts), *_checks(facts.checks)]


def _order(facts: Facts) -> list[str]:
    if facts.last_closed is not None:
        following = month_of(end_of(facts.last_closed))
        if facts.month < following:
            return [
                f"{facts.last_closed} is closed, which is later; what comes late for {facts.month} is "
                "adjusted on the next invoice"
            ]
        return [] if facts.month == following else [f"{following} is open: close it first"]
    earlier = [month for month in facts.months_with_cost if month < facts.month]
    return [f"{earlier[0]} is open and has usage: close it first"] if earlier else []


def _hours(facts: Facts) -> list[str]:
    reasons = []
    for hour in facts.wanted:
        rolled_up = facts.rolled_up.get(hour)
        digest, objects = facts.shipped.get(hour, _NOTHING)
        stale = unfinished(hour, rolled_up)
        if stale is None and rolled_up is not None:
            if lost_objects(rolled_up, objects):
                reasons.append(
                    f"hour {hour:%Y-%m-%dT%H}: has {objects} usage objects and was rolled up from "
                    f"{rolled_up.objects}; restore the others"
                )
                continue
            stale = differs(hour, rolled_up, digest, objects)
        if stale is not None:
            reasons.append(f"hour {hour:%Y-%m-%dT%H}: {stale.reason}; roll it up (metering/usage_hourly)")
    return reasons


def _checks(checks: Sequence[CheckResult]) -> list[str]:
    return [
        f"check {check.name} fails: {dict(check.evidence)}"
        for check in checks
        if check.severity == "error" and not check.passed
    ]

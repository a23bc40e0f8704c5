"""Which hours have to be rolled up again: the store's content against what the published copy was made of.

Belongs here: the comparison, hour by hour and however old, and surveying the whole store a part at a time.
Does not: asking for a rollup (sensors), rolling up (rollup.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.metering.fingerprint import shipped_to
from slipway.metering.prices import month_start
from slipway.metering.published import PublishedCopy
from slipway.metering.rating import otherwise_priced
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.usage import PREFIX, hour_in, hour_of

_HOUR = timedelta(hours=1)
# An hour is looked at when the schedule has had its turn, and gateways have shipped its last minute.
SETTLED_AFTER = timedelta(minutes=10)
# Late events mostly come within days: these hours are compared each time, older ones in turn.
RECENT = timedelta(hours=48)
_AT_ONCE = 64
_SHOWN = 3
_BUDGET_S = 20.0


@dataclass(frozen=True)
class RolledUp:
    """What the published copy says of an hour: what it was made of, and whether it was over by then."""

    fingerprint: str
    objects: int
    final: bool


@dataclass(frozen=True)
class StaleHour:
    """An hour to roll up again, why, and the fingerprint of what it would be made of (empty: not listed)."""

    hour: datetime
    reason: str
    fingerprint: str = ""


@dataclass(frozen=True)
class Survey:
    """Hours to roll up again; hours that lost objects since they were rolled up, which nobody may roll up
    unasked, because their usage would go; and the last older hour that was compared, None after all of them.
    """

    stale: tuple[StaleHour, ...]
    shrunk: tuple[datetime, ...]
    compared_up_to: datetime | None


def survey(
    store: ObjectStore,
    warehouse: Warehouse,
    *,
    now: datetime,
    earliest: datetime,
    after: datetime | None = None,
    budget_s: float = _BUDGET_S,
) -> Survey:
    """Compare the settled hours from `earliest` on: all recent ones, and older ones from `after` on, in turn.

    That every hour was rolled up, and when it was over, is looked at each time. An older hour's objects are
    listed within the budget; pass `compared_up_to` as the next `after`. Raises ObjectStoreError and
    WarehouseError.
    """
    rolled_up = _rolled_up(warehouse)
    stored = {hour for hour in map(hour_in, store.folders(PREFIX)) if hour is not None}
    settled = settled_hours(stored | rolled_up.keys(), earliest, now)
    stale = [wrong for hour in settled if (wrong := unfinished(hour, rolled_up.get(hour))) is not None]
    stale += otherwise_rated(warehouse, {each.hour for each in stale}, max(earliest, _may_be_corrected(now)))
    known = {each.hour for each in stale}
    filled = [hour for hour in settled if hour in stored or (hour in rolled_up and rolled_up[hour].objects)]
    compared = [hour for hour in filled if hour not in known]
    shrunk: list[datetime] = []
    compared_up_to = None  # all of them: the next survey begins anew
    ends_at = time.monotonic() + budget_s
    for hours, is_recent in in_turn(compared, after, now):
        for hour, (digest, objects) in shipped_to(store, hours).items():
            if lost_objects(rolled_up[hour], objects):
                shrunk.append(hour)
            elif (wrong := differs(hour, rolled_up[hour], digest, objects)) is not None:
                stale.append(wrong)
        if not is_recent and time.monotonic() >= ends_at:
            compared_up_to = hours[-1]
            break
    return Survey(tuple(sorted(stale, key=lambda each: each.hour)), tuple(sorted(shrunk)), compared_up_to)


def overdue(
    store: ObjectStore, warehouse: Warehouse, *, now: datetime, earliest: datetime, patience: timedelta
) -> list[StaleHour]:
    """The hours, in order, that were over and unfinished so long ago that a rollup should have been.

    Their objects are not compared: a sensor does that in turn. Raises as `survey`.
    """
    rolled_up = _rolled_up(warehouse)
    stored = {hour for hour in map(hour_in, store.folders(PREFIX)) if hour is not None}
    settled = settled_hours(stored | rolled_up.keys(), earliest, now - patience)
    return [wrong for hour in settled if (wrong := unfinished(hour, rolled_up.get(hour))) is not None]


def settled_hours(known: set[datetime], earliest: datetime, now: datetime) -> list[datetime]:
    """Every hour that has settled by now, without a gap from the first one that anybody knows of."""
    first = min((hour for hour in known if hour >= earliest), default=None)
    if first is None:
        return []
    count = (now - SETTLED_AFTER - first) // _HOUR
    return [first + n * _HOUR for n in range(max(0, count))]


def unfinished(hour: datetime, rolled_up: RolledUp | None) -> StaleHour | None:
    """Whether an hour that is over was never rolled up, or only while it ran."""
    if rolled_up is None:
        return StaleHour(hour, "never rolled up")
    return None if rolled_up.final else StaleHour(hour, "rolled up before it was over")


def otherwise_rated(warehouse: Warehouse, known: set[datetime], since: datetime) -> list[StaleHour]:
    """Hours, but for those that are known already, whose prices were corrected after they were rated."""
    if not warehouse.published_path.exists():
        return []
    found = otherwise_priced(PublishedCopy.of(warehouse), since)
    return [
        StaleHour(hour, f"the prices of {_few(deployments)} are others than it was rated at")
        for hour, deployments in found.items()
        if hour not in known
    ]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else "")


def _may_be_corrected(now: datetime) -> datetime:
    """The first hour whose price may have been corrected and not rated since.

    Prices of a month can be corrected until it ends; what was corrected last is rated in the next one.
    """
    return month_start(month_start(now) - _HOUR)


def lost_objects(rolled_up: RolledUp, objects: int) -> bool:
    """Whether the hour has fewer objects than it was made of: none is removed that is in no compacted one."""
    return objects < rolled_up.objects


def differs(hour: datetime, rolled_up: RolledUp, digest: str, objects: int) -> StaleHour | None:
    """Whether the hour's objects, by their fingerprint and number, are other ones than it was made of."""
    if digest == rolled_up.fingerprint:
        return None
    return StaleHour(hour, f"{objects} objects, rolled up from {rolled_up.objects} others", digest)


def in_turn(
    hours: Sequence[datetime], after: datetime | None, now: datetime
) -> list[tuple[list[datetime], bool]]:
    """The hours in parts, with whether each is of recent ones: those first, then the rest from `after` on."""
    since = hour_of(now) - RECENT
    recent = [hour for hour in hours if hour >= since]
    older = [hour for hour in hours if hour < since]
    if after is not None:
        older = [hour for hour in older if hour > after]
    return [(part, True) for part in _parts(recent)] + [(part, False) for part in _parts(older)]


def _parts(hours: list[datetime]) -> list[list[datetime]]:
    return [hours[start : start + _AT_ONCE] for start in range(0, len(hours), _AT_ONCE)]


def _rolled_up(warehouse: Warehouse) -> Mapping[datetime, RolledUp]:
    if not warehouse.published_path.exists():
        return {}
    rows = PublishedCopy.of(warehouse).rows("fingerprints")
    return {row["hour"]: RolledUp(row["input_fingerprint"], row["objects"], row["final"]) for row in rows}

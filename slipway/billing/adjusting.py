"""Adjustments of closed months: what is rated otherwise now than it was billed, each difference once.

Belongs here: comparing, the reason of a difference, adding it to what is kept.
Does not: re-rating (slipway.metering), the objects (slipway.records.adjustments), rounding (invoicing.py).

A comparison looks at what is, not at what a run did: whatever a run that died left undone, the next finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from slipway.billing import tables
from slipway.billing.months import end_of, month_of, start_of
from slipway.metering.warehouse import sql
from slipway.objectstore import ObjectStore
from slipway.records.adjustments import Adjusted, Adjustment, Adjustments
from slipway.records.closed_months import BilledLine, ClosedMonth

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MORE = "usage that came after the month was closed"
RATED = "the same usage at another price or tier"

Difference = tuple[str, BilledLine]  # of an organisation
Used = tuple[str, datetime, str, str, str]  # organisation, hour, deployment, model, unit


@dataclass(frozen=True)
class Compared:
    """What a comparison found, and what it left alone.

    `not_compared` are months of which billed hours are not rolled up, `withheld` those (month, organisation)
    with less usage than was billed.
    """

    adjusted: Adjusted | None
    not_compared: Mapping[str, Sequence[datetime]]
    withheld: frozenset[tuple[str, str]] = frozenset()


def compare(
    store: ObjectStore,
    connection: DuckDBPyConnection,
    run_id: str,
    now: datetime,
    hours: Iterable[datetime] | None = None,
) -> Compared:
    """Write what closed months are rated otherwise now than they were billed; only those of `hours` if given.

    The caller is the one writer. A month of which billed hours are not rolled up in this file is left
    alone: the file is being made anew, and what it lacks was still used. For the same reason nobody is
    credited because usage is gone: events are never removed, so a person has to restore what was lost.
    Raises KeptBillingError.
    """
    closed = tables.bring(store, connection)
    months = _past(connection, closed)
    if hours is not None:
        months &= {month_of(hour) for hour in hours}
    unrolled = {month: _unrolled(connection, month) for month in sorted(months)}
    not_compared = {month: lacking for month, lacking in unrolled.items() if lacking}
    comparable = [month for month in unrolled if month not in not_compared]
    withheld: set[tuple[str, str]] = set()

    def find(_: int) -> list[Adjustment]:
        tables.bring(store, connection)  # what another writer was first with
        found: list[Adjustment] = []
        withheld.clear()
        for month in comparable:
            differences = _differences(connection, month)
            fewer = less_used(differences)
            withheld.update((month, org) for org in fewer)
            found += adjustments(month, [each for each in differences if each[0] not in fewer])
        return found

    adjusted = Adjustments(store).add(find, run_id, now) if comparable else None
    tables.bring(store, connection)
    return Compared(adjusted, not_compared, frozenset(withheld))


def _past(connection: DuckDBPyConnection, closed: Sequence[ClosedMonth]) -> set[str]:
    """Closed months, and earlier ones than the first of them: what comes late for those is billed, too."""
    if not closed:
        return set()
    last = closed[-1].month
    return {each.month for each in closed} | {
        month for month in tables.months_with_cost(connection) if month < last
    }


def _unrolled(connection: DuckDBPyConnection, month: str) -> list[datetime]:
    rows = connection.execute(sql("billing_unrolled"), {"month": month}).fetchall()
    return [hour.astimezone(UTC) for (hour,) in rows]


def _differences(connection: DuckDBPyConnection, month: str) -> list[Difference]:
    span = {"month": month, "since": start_of(month), "until": end_of(month)}
    rows = connection.execute(sql("billing_difference"), span).fetchall()
    return [(org, BilledLine(hour.astimezone(UTC), *columns)) for org, hour, *columns in rows]


def less_used(differences: Sequence[Difference]) -> set[str]:
    """Organisations of which some hour has less of a unit than was billed."""
    return {org for (org, *_), more in _more_used(differences).items() if more < 0}


def adjustments(month: str, differences: Sequence[Difference]) -> list[Adjustment]:
    """Differences with their reasons: more was used in the hour, or the same is rated otherwise."""
    more = _more_used(differences)
    return [
        Adjustment(month, org, line, MORE if more[_used(org, line)] > 0 else RATED)
        for org, line in differences
    ]


def _more_used(differences: Sequence[Difference]) -> dict[Used, int]:
    more: dict[Used, int] = {}
    for org, line in differences:
        key = _used(org, line)
        more[key] = more.get(key, 0) + line.quantity
    return more


def _used(org: str, line: BilledLine) -> Used:
    return (org, line.hour, line.deployment, line.model, line.unit)

"""Rating what depends on more than the hour: tiers by the month's volume, and minimums of requests.

Belongs here: the steps within a rollup's transaction, which later hours cost something else for it, and which
hours were rated at prices that are others by now.
Does not: prices that are the same whatever the volume (sql/usage_hourly.sql), definitions (docs/metering.md).

The rows are a function of usage_hourly and price alone: whatever order hours come in, those of a month are
placed one after another by their own keys, so that the last rollup leaves what one of all of them at the end
would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from slipway.metering.published import PublishedCopy
from slipway.metering.warehouse import delete_hours, mark_unpublished, sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "cost_rated"
PRICES_TABLE = "hour_prices"
_RATED = (
    "SELECT 1 FROM price WHERE tiers IS NOT NULL OR minimum IS NOT NULL "
    "UNION ALL SELECT 1 FROM cost_rated LIMIT 1"
)
_LATER = (
    "SELECT org, deployment, list(hour ORDER BY hour) FROM rerated ANTI JOIN chunk_hour USING (hour) "
    "GROUP BY org, deployment ORDER BY org, deployment"
)
_SPANS = (
    "CREATE OR REPLACE TEMP TABLE rated_span AS SELECT unnest($month_start::TIMESTAMPTZ[]) AS month_start, "
    "unnest($since::TIMESTAMPTZ[]) AS since, unnest($month_end::TIMESTAMPTZ[]) AS month_end"
)


@dataclass(frozen=True)
class ReRated:
    """Later hours of a month in which an org's use of a deployment costs something else than before."""

    org: str
    deployment: str
    hours: tuple[datetime, ...]

    def told(self) -> str:
        """In a line of a log."""
        first, last = self.hours[0], self.hours[-1]
        return (
            f"re-rated {len(self.hours)} later hours of org {self.org}, deployment {self.deployment}: "
            f"{first:%Y-%m-%dT%H} to {last:%Y-%m-%dT%H}, as the volume of the month before them changed"
        )


def note_prices(connection: DuckDBPyConnection, chunk: Sequence[datetime]) -> None:
    """Note at which prices the chunk's hours are rated, so that it is seen when they are others."""
    delete_hours(connection, PRICES_TABLE, chunk)
    used = "(SELECT DISTINCT hour, deployment FROM metered WHERE deployment <> '')"
    connection.execute(f"INSERT INTO {PRICES_TABLE} {sql('hour_prices').replace('{used}', used)}")


def otherwise_priced(copy: PublishedCopy, since: datetime) -> dict[datetime, list[str]]:
    """Hours since then that were rated at other prices than those of now, and the deployments that it is of.

    A price that begins or ends beside an hour is no other one within it. Raises WarehouseError.
    """
    used = f"(SELECT DISTINCT hour, deployment FROM {PRICES_TABLE} WHERE hour >= $since)"  # noqa: S608
    now = sql("hour_prices").replace("{used}", used)
    with copy.reading() as connection:
        rows = connection.execute(sql("stale_prices").replace("{now}", now), {"since": since}).fetchall()
    return {hour.astimezone(UTC): deployments for hour, deployments in rows}


def rate(connection: DuckDBPyConnection, chunk: Sequence[datetime]) -> list[ReRated]:
    """Rate the chunk's hours, whose usage is in place, and the later ones of their months that it moves.

    Within the caller's transaction. The days of those later hours are noted as unpublished.
    """
    if not connection.execute(_RATED).fetchall():
        return []
    delete_hours(connection, TABLE, chunk)
    connection.execute(sql("rate_minimums"))
    connection.execute(_SPANS, _spans(chunk))
    connection.execute(sql("rate_tiers"))
    connection.execute(sql("rate_changes"))
    later = [
        ReRated(org, deployment, tuple(hour.astimezone(UTC) for hour in hours))
        for org, deployment, hours in connection.execute(_LATER).fetchall()
    ]
    if later:
        mark_unpublished(
            connection, ["usage_hourly"], sorted({hour for each in later for hour in each.hours})
        )
    return later


def _spans(chunk: Sequence[datetime]) -> dict[str, list[datetime]]:
    """The months of these hours, each from its first instant, its first hour here, to its end."""
    first: dict[datetime, datetime] = {}
    for hour in sorted(chunk):
        first.setdefault(hour.astimezone(UTC).replace(day=1, hour=0), hour)
    return {
        "month_start": list(first),
        "since": list(first.values()),
        "month_end": [(start + timedelta(days=31)).replace(day=1) for start in first],
    }

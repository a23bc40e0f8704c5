"""The late-usage sensor: every hour whose usage is not in the warehouse, however old, is asked for.

Belongs here: the tick, from what was surveyed to runs of contiguous hours, and when to ask again.
Does not: the comparison (slipway.metering.staleness), the schedule for what is on time (pipelines.schedules).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.partitions import FIRST, key_of, range_tags
from assets.retries import UNFINISHED
from resources.warehouse import StaleHour, Survey, WarehouseResource
from slipway.environment import MissingSettingError

REASON_TAG = "slipway/reason"
INTERVAL_S = 300

_HOUR = timedelta(hours=1)
_MOST_HOURS = 31 * 24  # of one run: what a run that dies has to do again is bounded
_MOST_RUNS = 10  # of one tick


def late_usage(job_name: str) -> dg.SensorDefinition:
    """Ask `job_name` for the hours that differ; the cursor is how far the older ones were compared."""

    @dg.sensor(
        name="late_usage",
        job_name=job_name,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for every hour whose events in the store are not what was rolled up, however old.",
    )
    def sensor(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        under_way = context.instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=UNFINISHED), limit=1)
        if under_way:
            reason = f"Run {under_way[0].run_id[:8]} is rolling up; this looks again when it has ended."
            return dg.SensorResult(skip_reason=reason, cursor=context.cursor)
        now = datetime.now(UTC)
        after = datetime.fromisoformat(context.cursor) if context.cursor else None
        try:
            survey = warehouse.late_usage(now, FIRST, after)
        except MissingSettingError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        for hour in survey.shrunk:
            context.log.error(_lost(hour))
        cursor = survey.compared_up_to.isoformat() if survey.compared_up_to else ""
        wanted = requests(survey.stale, now)
        if wanted:
            return dg.SensorResult(run_requests=wanted, cursor=cursor)
        return dg.SensorResult(skip_reason=quiet(survey), cursor=cursor)

    return sensor


def requests(stale: Sequence[StaleHour], now: datetime) -> list[dg.RunRequest]:
    """A run for each range of hours without a gap. The same content is tried once per hour of the clock."""
    return [
        dg.RunRequest(
            run_key=f"{key_of(hours[0].hour)}/{key_of(hours[-1].hour)} {_content(hours)} {now:%Y-%m-%dT%H}",
            tags={**range_tags(hours[0].hour, hours[-1].hour), REASON_TAG: _reason(hours)},
        )
        for hours in ranges(stale)[:_MOST_RUNS]
    ]


def ranges(stale: Sequence[StaleHour]) -> list[list[StaleHour]]:
    """The hours, in order, cut where one is missing between them and where a run would be too long."""
    cut: list[list[StaleHour]] = []
    for each in stale:
        follows = bool(cut) and cut[-1][-1].hour + _HOUR == each.hour
        if not follows or len(cut[-1]) >= _MOST_HOURS:
            cut.append([])
        cut[-1].append(each)
    return cut


def quiet(survey: Survey) -> str:
    """Why nothing is asked for."""
    if survey.shrunk:
        return " ".join(_lost(hour) for hour in survey.shrunk)
    return "Every hour is what its events say."


def _lost(hour: datetime) -> str:
    return (
        f"{key_of(hour)}: the store has fewer usage objects than were rolled up. Restore them; to count "
        "without them, materialize the hour by hand."
    )


def _reason(hours: Sequence[StaleHour]) -> str:
    first = f"{key_of(hours[0].hour)}: {hours[0].reason}"
    return first if len(hours) == 1 else f"{first}; and {len(hours) - 1} hours after it"


def _content(hours: Sequence[StaleHour]) -> str:
    told = "".join(f"{each.hour.isoformat()} {each.reason} {each.fingerprint}\n" for each in hours)
    return hashlib.sha256(told.encode()).hexdigest()[:12]

"""Schedules: what happens by the clock.

Belongs here: cron times and the hours that a tick asks for. Does not: the jobs.
"""

from datetime import datetime, timedelta

import dagster as dg

from assets.groups import MAINTENANCE, REPORTS, ROLLUP
from assets.partitions import range_tags
from pipelines.jobs import DESCRIPTIONS


def hourly_rollup(lookback_hours: int) -> dg.ScheduleDefinition:
    """Five minutes past each hour: the hour that ended, and the ones before it for late events.

    What is later still, or was missed, sensors.late_usage asks for.
    """

    @dg.schedule(
        job_name=ROLLUP,
        cron_schedule="5 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Roll up the last {lookback_hours} closed hours in one run.",
    )
    def hourly_rollup(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        tags = hours_to_roll_up(context.scheduled_execution_time, lookback_hours)
        return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H}", tags=tags)

    return hourly_rollup


def hourly_reports() -> dg.ScheduleDefinition:
    """A quarter of an hour after each rollup began."""
    return dg.ScheduleDefinition(
        name="hourly_reports",
        job_name=REPORTS,
        cron_schedule="20 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=DESCRIPTIONS[REPORTS],
    )


def daily_maintenance() -> dg.ScheduleDefinition:
    """Each night: garbage collection, and reading back what is stored."""
    return dg.ScheduleDefinition(
        name="daily_maintenance",
        job_name=MAINTENANCE,
        cron_schedule="30 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=DESCRIPTIONS[MAINTENANCE],
    )


def hours_to_roll_up(now: datetime, lookback_hours: int) -> dict[str, str]:
    """Tags that make one run cover the last closed hours (a single-run partition range)."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    return range_tags(this_hour - timedelta(hours=lookback_hours), this_hour - timedelta(hours=1))

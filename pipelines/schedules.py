"""Schedules: what happens by the clock.

Belongs here: cron times and the hours that a tick asks for. Does not: the jobs.
"""

from datetime import datetime, timedelta

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from assets.groups import CLOSE_MONTH, MAINTENANCE, REPORTS, ROLLUP
from assets.partitions import range_tags
from assets.retries import UNFINISHED
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


def running_hour(minutes: int) -> dg.ScheduleDefinition:
    """Every few minutes: the hour that runs, so that its figures are as old as that at most."""

    @dg.schedule(
        name="running_hour",
        job_name=ROLLUP,
        cron_schedule=f"*/{minutes} * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Roll up the running hour every {minutes} minutes; its rows are not final.",
    )
    def refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        under_way = context.instance.get_runs(dg.RunsFilter(job_name=ROLLUP, statuses=UNFINISHED), limit=1)
        if under_way:  # a rollup that takes longer than this must not be joined by another, and another
            return dg.SkipReason(f"Run {under_way[0].run_id[:8]} is rolling up; the next tick looks again.")
        now = context.scheduled_execution_time
        this_hour = now.replace(minute=0, second=0, microsecond=0)
        return dg.RunRequest(run_key=f"{now:%Y-%m-%dT%H:%M}", tags=range_tags(this_hour, this_hour))

    return refresh


def monthly_invoices() -> dg.ScheduleDefinition:
    """On the second of each month: the month before is closed, which cannot be undone. To be switched on."""

    @dg.schedule(
        job_name=CLOSE_MONTH,
        cron_schedule="0 6 2 * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Close the month that ended and make its invoices. Off until somebody switches it on.",
    )
    def monthly_invoices(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        ended = context.scheduled_execution_time.replace(day=1) - timedelta(days=1)
        return dg.RunRequest(run_key=f"{ended:%Y-%m}", tags={PARTITION_NAME_TAG: f"{ended:%Y-%m}"})

    return monthly_invoices


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

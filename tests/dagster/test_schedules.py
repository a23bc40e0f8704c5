from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from assets import failures
from assets.partitions import HOURLY, hour_of, key_of
from pipelines.definitions import build_definitions
from pipelines.schedules import hourly_rollup, hours_to_roll_up, monthly_invoices, running_hour
from slipway.objectstore import ObjectStoreError

CATALOG = Path(__file__).parents[2] / "catalog"


def test_the_hourly_tick_asks_for_the_closed_hours_of_the_lookback_in_one_run() -> None:
    at = datetime(2026, 3, 1, 1, 5, tzinfo=UTC)
    assert hours_to_roll_up(at, 3) == {
        "dagster/asset_partition_range_start": "2026-02-28-22:00",
        "dagster/asset_partition_range_end": "2026-03-01-00:00",
    }
    context = dg.build_schedule_context(scheduled_execution_time=at)
    ticked = hourly_rollup(3).evaluate_tick(context)
    assert [request.run_key for request in ticked.run_requests or []] == ["2026-03-01T01"]


def test_the_running_hour_is_asked_for_again_unless_a_rollup_is_under_way(tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, 1, 35, tzinfo=UTC)
    job = build_definitions(CATALOG).resolve_job_def("rollup")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at)
        (asked,) = running_hour(5).evaluate_tick(context).run_requests or ()
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        skipped = running_hour(5).evaluate_tick(context)
    assert asked.tags["dagster/asset_partition_range_start"] == "2026-03-01-01:00"
    assert asked.tags["dagster/asset_partition_range_end"] == "2026-03-01-01:00"
    assert not skipped.run_requests and run.run_id[:8] in str(skipped.skip_message)


def test_invoices_are_made_by_the_clock_only_where_somebody_wants_it() -> None:
    at = datetime(2027, 1, 2, 6, tzinfo=UTC)
    schedule = monthly_invoices()
    (asked,) = (
        schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at)).run_requests or ()
    )
    assert (schedule.job_name, asked.tags["dagster/partition"]) == ("close_month", "2026-12")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


def test_partition_keys_are_hours_in_utc() -> None:
    now = datetime(2026, 3, 1, 1, 59, tzinfo=UTC)
    with dg.instance_for_test() as instance, dg.partition_loading_context(now, instance):
        last = HOURLY.get_last_partition_key()
    assert last == "2026-03-01-01:00"  # the running hour is included
    assert key_of(hour_of(last)) == last
    assert hour_of(last) == datetime(2026, 3, 1, 1, tzinfo=UTC)


def test_what_a_person_must_correct_is_not_retried_and_the_rest_is() -> None:
    for retriable in (True, False):
        try:
            with failures.explained():
                raise ObjectStoreError("no such bucket", retriable=retriable)
        except ObjectStoreError:
            assert retriable
        except dg.Failure as failure:
            assert not retriable
            assert failure.allow_retries is False
            assert failure.description == "no such bucket"

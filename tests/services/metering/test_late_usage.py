"""No event is forgotten: however late it comes, and whoever else is rolling up."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.partitions import FIRST, hour_of
from pipelines.definitions import build_definitions
from resources.all import resources
from sensors.late_usage import late_usage, ranges
from slipway.metering import replicas
from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish_copy
from slipway.metering.published import PublishedCopy
from slipway.metering.rollup import roll_up
from slipway.metering.staleness import StaleHour, Survey, survey
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.replica_samples import Instant, Sample, write

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
REPOSITORY = Path(__file__).parents[3]


def hours(count: int) -> list[datetime]:
    return [HOUR + timedelta(hours=n) for n in range(count)]


class OtherWriterFirst(Warehouse):
    """A warehouse whose lock is free only when another writer, which saw something late, is done."""

    def __init__(self, directory: Path, other: object) -> None:
        super().__init__(directory)
        object.__setattr__(self, "other", other)

    @contextmanager
    def locked(self) -> Iterator[None]:
        other = self.__dict__.pop("other", None)
        if other is not None:
            other()
        with super().locked():
            yield


def test_a_rollup_that_waited_for_another_one_does_not_take_its_late_event_away(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, rows
) -> None:
    ship(HOUR, [new_event()])

    def other() -> None:
        ship(HOUR, [new_event(org="late")])
        roll_up(store, warehouse, [HOUR], run_id="other", now=NOW)

    (summary,) = roll_up(
        store, OtherWriterFirst(warehouse.directory, other), [HOUR], run_id="waited", now=NOW
    )
    assert summary.requests == 2
    assert [row["org"] for row in rows("usage_hourly")] == ["acme", "late"]


def test_a_rollup_of_samples_that_waited_for_another_one_has_its_late_sample(
    store: ObjectStore, warehouse: Warehouse, rows
) -> None:
    def sampled(minute: int) -> None:
        sample = Sample("chat", "d" * 64, 1, 1.0, None)
        write(store, Instant(HOUR + timedelta(minutes=minute), 60, (sample,)))

    sampled(0)

    def other() -> None:
        sampled(1)
        replicas.roll_up(store, warehouse, [HOUR])

    replicas.roll_up(store, OtherWriterFirst(warehouse.directory, other), [HOUR])
    assert [row["replica_seconds"] for row in rows("replicas_hourly")] == [120]


def survey_of(store: ObjectStore, warehouse: Warehouse, now: datetime = NOW, **options: object) -> Survey:
    return survey(store, warehouse, now=now, earliest=FIRST, **options)


def test_twelve_hours_of_a_stopped_daemon_are_all_asked_for(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, rows
) -> None:
    """The schedule's next tick covers three of them; empty hours between them are wanted, too."""
    first, *missed = hours(13)
    roll_up(store, warehouse, [first], run_id="before", now=NOW)
    for hour in (missed[0], missed[1], *missed[3:]):
        ship(hour, [new_event(hour)])
    roll_up(store, warehouse, missed[-3:], run_id="schedule", now=NOW)
    publish_copy(warehouse)
    after_12_h = missed[-1] + timedelta(hours=1, minutes=15)
    found = survey_of(store, warehouse, after_12_h)
    assert [(each.hour, each.reason) for each in found.stale] == [
        (hour, "never rolled up") for hour in missed[:9]
    ]
    assert ranges(found.stale) == [list(found.stale)]  # one run
    roll_up(store, warehouse, [each.hour for each in found.stale], run_id="late", now=NOW)
    publish_copy(warehouse)
    assert survey_of(store, warehouse, after_12_h) == Survey((), (), None)
    assert sum(row["requests"] for row in rows("usage_hourly")) == 11


def test_a_late_event_of_months_ago_is_asked_for(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    ship(HOUR, [new_event()])
    roll_up(store, warehouse, hours(3), run_id="r", now=NOW)
    publish_copy(warehouse)
    ship(HOUR, [new_event()])
    ship(hours(3)[2], [new_event(hours(3)[2])])  # an hour that was rolled up empty
    months_later = HOUR + timedelta(days=100)
    found = survey_of(store, warehouse, months_later).stale
    assert [each.hour for each in found if each.reason != "never rolled up"] == [HOUR, hours(3)[2]]


def test_nothing_published_means_every_hour_with_events(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    for hour in hours(2):
        ship(hour, [new_event(hour)])
    now = hours(2)[1] + timedelta(hours=1, minutes=10)
    assert [each.hour for each in survey_of(store, warehouse, now).stale] == hours(2)


def test_an_hour_is_left_to_the_schedule_until_it_has_settled(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    ship(HOUR, [new_event()])
    settled = HOUR + timedelta(hours=1, minutes=10)
    assert survey_of(store, warehouse, settled - timedelta(seconds=1)).stale == ()
    assert [each.hour for each in survey_of(store, warehouse, settled).stale] == [HOUR]


def test_an_hour_rolled_up_while_it_ran_is_asked_for_when_it_is_over(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    ship(HOUR, [new_event()])
    roll_up(store, warehouse, [HOUR], run_id="by hand", now=HOUR + timedelta(minutes=30))
    publish_copy(warehouse)
    (wrong,) = survey_of(store, warehouse, HOUR + timedelta(hours=2)).stale
    assert (wrong.hour, wrong.reason) == (HOUR, "rolled up before it was over")


def test_an_hour_that_lost_objects_is_told_and_its_usage_is_not_taken_away_unasked(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    lost = [ship(HOUR, [new_event()]), ship(hours(2)[1], [new_event(hours(2)[1])])]
    ship(HOUR, [new_event()])
    roll_up(store, warehouse, hours(2), run_id="r", now=NOW)
    publish_copy(warehouse)
    for key in lost:
        store.delete(key)
    found = survey_of(store, warehouse, hours(3)[2] + timedelta(minutes=15))
    assert (found.stale, found.shrunk) == ((), tuple(hours(2)))


def test_what_is_no_hour_or_before_the_first_partition_or_to_come_stops_nothing(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    for key in (
        "usage/notes.txt",
        "usage/hour=2026-99-01T09/x",
        "usage/hour=/x",
        "usage/hour=1970-01-01T00/x",
    ):
        store.put(key, b"?")
    store.put("usage/hour=2099-01-01T00/x", b"?")  # a gateway with a clock of its own
    ship(HOUR, [new_event()])
    found = survey_of(store, warehouse, HOUR + timedelta(hours=1, minutes=10))
    assert [each.hour for each in found.stale] == [HOUR]


def test_older_hours_are_compared_in_turn_within_the_budget(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    old = hours(70)
    for hour in old:
        ship(hour, [new_event(hour)])
    roll_up(store, warehouse, old, run_id="r", now=NOW)
    publish_copy(warehouse)
    for hour in (old[0], old[69]):
        ship(hour, [new_event(hour)])
    found = []
    after = None
    for _ in range(3):
        part = survey_of(store, warehouse, NOW, after=after, budget_s=0.0)
        found.append([each.hour for each in part.stale if each.reason != "never rolled up"])
        after = part.compared_up_to
    assert found == [[old[0]], [old[69]], []] and after is None  # a tick each, then from the beginning


def test_hours_that_are_not_contiguous_are_runs_of_their_own_and_long_ranges_are_cut() -> None:
    stale = [StaleHour(hour, "r") for hour in [*hours(2), *hours(6)[4:]]]
    assert [[each.hour for each in cut] for cut in ranges(stale)] == [hours(2), hours(6)[4:]]
    assert [len(cut) for cut in ranges([StaleHour(hour, "r") for hour in hours(800)])] == [744, 56]


@pytest.fixture
def variables(store: ObjectStore, tmp_path: Path) -> dict[str, str]:
    at = store.location
    return {
        "SLIPWAY_HOME": str(tmp_path), "SLIPWAY_S3_ENDPOINT": at.endpoint_url,
        "SLIPWAY_S3_BUCKET": at.bucket, "SLIPWAY_S3_ACCESS_KEY": at.access_key,
        "SLIPWAY_S3_SECRET_KEY": at.secret_key,
    }  # fmt: skip


def test_the_sensor_asks_the_run_brings_it_and_then_the_sensor_is_quiet(
    store: ObjectStore, variables: dict[str, str], ship, new_event, tmp_path: Path
) -> None:
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    missed = [this_hour - timedelta(hours=n) for n in (5, 4, 3)]
    for hour in missed:
        ship(hour, [new_event(hour)])
    sync_prices(store, Warehouse(tmp_path / "elsewhere"), (), now=missed[0])
    given = resources(variables)
    with dg.DagsterInstance.ephemeral() as instance:

        def tick() -> dg.SensorResult:
            with dg.build_sensor_context(instance=instance, resources=given) as context:
                result = late_usage("rollup")(context)
            assert isinstance(result, dg.SensorResult)
            return result

        (request,) = tick().run_requests or ()
        assert "never rolled up" in request.tags["slipway/reason"]
        assert request.run_key == (tick().run_requests or [])[0].run_key  # asked twice, run once
        job = build_definitions(tmp_path / "no-catalog", resources=given).resolve_job_def("rollup")
        assert job.execute_in_process(instance=instance, tags=request.tags).success
        result = tick()
    assert result.run_requests in (None, [])
    assert str(result.skip_reason and result.skip_reason.skip_message) == "Every hour is what its events say."
    last = hour_of(request.tags["dagster/asset_partition_range_end"])
    rolled_up = PublishedCopy(tmp_path / "warehouse").rows("fingerprints")
    assert [row["hour"] for row in rolled_up] == [
        missed[0] + timedelta(hours=n) for n in range(1 + int((last - missed[0]) / timedelta(hours=1)))
    ]


def test_while_a_run_rolls_up_nothing_more_is_asked_for(
    store: ObjectStore, variables: dict[str, str], ship, new_event, tmp_path: Path
) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    ship(hour, [new_event(hour)])
    given = resources(variables)
    job = build_definitions(tmp_path / "no-catalog", resources=given).resolve_job_def("rollup")
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        with dg.build_sensor_context(instance=instance, resources=given, cursor="") as context:
            result = late_usage("rollup")(context)
    assert isinstance(result, dg.SensorResult) and not result.run_requests
    assert run.run_id[:8] in str(result.skip_reason)

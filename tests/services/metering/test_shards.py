"""A warehouse of four shards: the same rows, totals and answers as one file has, whoever does the work."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipelines.definitions import build_definitions
from resources.all import resources
from slipway.control.connections import Connections
from slipway.control.rebuilding import rebuild
from slipway.environment import Environment, WrongSettingError
from slipway.metering import sharded
from slipway.metering.checks import evaluate
from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish
from slipway.metering.rollup import roll_up
from slipway.metering.shards.intake import IntakeError, take_in
from slipway.metering.shards.rolling import (
    ShardsBehindError,
    bring_together,
    roll_up_all,
    roll_up_shard,
)
from slipway.metering.shards.workers import OnRay
from slipway.metering.staleness import survey
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records import intake
from testbed import stores

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
HOURS = [HOUR, HOUR + timedelta(hours=1)]
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
# Of prices that an hour was rated at each shard has its own note.
OF_ONE = [table for table in sharded.TABLES if table != "hour_prices"]
TABLES = (*OF_ONE, sharded.RUNS, "cost_hourly", "economics_hourly", "gateway_hourly")
MINUTE = timedelta(minutes=1)

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def at(store: ObjectStore, tmp_path: Path, ship, new_event, schedule) -> Connections:
    """Four shards, nothing rolled up; usage of two hours by twelve organisations of five deployments."""
    variables = {**stores.variables(store.location), "SLIPWAY_WAREHOUSE_SHARDS": "4"}
    at = Connections(Environment(variables, tmp_path / "home"))
    prices = [
        schedule(f"chat-{n}", (JANUARY, 3 + n, 1, 7), (HOUR + 20 * MINUTE, 5, 2, 9 + n)) for n in range(5)
    ]
    sync_prices(store, at.warehouse, prices, now=JANUARY)
    chance = random.Random(4)
    for hour in HOURS:
        events = [
            new_event(
                hour + timedelta(milliseconds=chance.randrange(3_600_000)), org=f"org-{chance.randrange(12)}",
                api_key=f"key-{chance.randrange(20)}", deployment=f"chat-{chance.randrange(5)}",
                output_tokens=chance.randrange(2, 900), ttft_us=chance.randrange(1, 10**6), duration_us=10**7,
                status=chance.choice(["success", "success", "cancelled", "server_error"]),
            )
            for _ in range(300)
        ]  # fmt: skip
        for start in range(0, 300, 60):
            ship(hour, events[start : start + 66])  # the next object has six of them, too
        ship(hour, [events[0], b'{"half\n'])
    ship(HOUR, body=b"no gzip")
    return at


@pytest.fixture
def of_one_file(at: Connections, tmp_path: Path) -> Callable[[], Rows]:
    """The rows that one file has of the same usage."""

    def read() -> Rows:
        whole = Warehouse(tmp_path / "one")
        roll_up(at.store, whole, HOURS, run_id="run", now=NOW)
        with whole.writing() as connection:
            return rows(connection)

    return read


def rows(connection: Any) -> Rows:
    """All rows of the tables of usage, those of a deployment's and an organisation's without their run."""
    found = {}
    for table in TABLES:
        columns = {name for name, *_ in connection.execute(f"DESCRIBE {table}").fetchall()}
        without = "EXCLUDE (run_id)" if "run_id" in columns else ""
        if "rolled_up_at" in columns:
            without = "EXCLUDE (run_id, rolled_up_at)"
        found[table] = connection.execute(f"SELECT * {without} FROM {table} ORDER BY ALL").fetchall()
    return found


def of_shards(at: Connections) -> Rows:
    with at.metered.reading() as copy:
        return rows(copy)


def test_the_job_rolls_shards_up_in_steps_of_their_own_and_all_of_them_are_one_file(
    at: Connections, of_one_file, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variables = {**at.environment.variables, "SLIPWAY_HOME": str(at.environment.home)}
    monkeypatch.setenv("SLIPWAY_WAREHOUSE_SHARDS", "4")
    job = build_definitions(tmp_path / "none", resources=resources(variables)).resolve_job_def("rollup")
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": "2026-03-10-09:00",
                "dagster/asset_partition_range_end": "2026-03-10-10:00",
            },
        )
        assert done.success
        steps = {event.step_key for event in done.all_events if event.is_step_success}
        assert {"usage__intake", *(f"metering__shard_{n}" for n in range(4)), "hourly_rollup"} <= steps
        asked = {event.asset_key.to_user_string(): event for event in done.get_asset_materialization_events()}
        requests = [asked[f"metering/shard_{n}"].materialization.metadata["requests"].value for n in range(4)]
    assert sum(requests) == 600 and all(requests), "each shard has some of them"
    expected = of_one_file()
    assert of_shards(at) == expected
    assert len(expected["usage_hourly"]) > 100 and len(expected["quarantine"]) == 3
    assert not [key.key for key in at.store.list(intake.PREFIX)], "an intake that was rolled up is removed"
    assert all(check.passed for check in evaluate(at.metered, HOURS) if check.severity == "error")
    assert survey(at.store, at.warehouse, now=NOW, earliest=JANUARY).stale[0].hour > HOURS[-1]


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """A Ray of two cores, whose workers are processes of their own."""
    import ray

    started = ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield started.address_info["gcs_address"]
    ray.shutdown()


def test_usage_is_read_by_the_workers_of_a_ray_cluster(
    at: Connections, of_one_file, ray_address: str
) -> None:
    seen: list[str] = []
    (first, second) = take_in(
        at.store, HOURS, 4, now=NOW, workers=OnRay(ray_address), slice_bytes=10_000, say=seen.append
    )
    assert first.pieces > 1 and second.pieces > 1, "the hour was cut"
    assert len(seen) == 2 and (first.objects, second.objects) == (7, 6)
    assert take_in(at.store, HOURS, 4, now=NOW, say=seen.append) == [first, second]
    assert len(seen) == 2, "what was taken in is not read again"
    for shard in range(4):
        roll_up_shard(at.store, at.warehouse, shard, HOURS, run_id="run", now=NOW)
    bring_together(at.store, at.warehouse, HOURS, now=NOW)
    publish(at.warehouse, at.store, HOURS)
    assert of_shards(at) == of_one_file()


def test_copies_that_differ_in_their_organisation_are_billed_once(
    at: Connections, ship, new_event, of_one_file
) -> None:
    """Told apart by organisation before it is known which copy counts, each of them would be."""
    event = new_event(HOUR, deployment="chat-0", output_tokens=5)
    for org in [f"other-{n}" for n in range(8)]:
        ship(HOUR, [new_event(HOUR, request_id=event.request_id, org=org, deployment="chat-0")])
    (summary, _) = roll_up_all(at.store, at.warehouse, HOURS, run_id="run", now=NOW)
    publish(at.warehouse, at.store, HOURS)
    assert summary.conflicts == 1 and of_shards(at) == of_one_file()


def test_a_shard_that_is_behind_is_told_and_a_run_that_died_is_completed_by_the_next(
    at: Connections, ship, new_event, of_one_file, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(IntakeError, match=r"2026-03-10T09: was not taken in for 4 shards"):
        roll_up_shard(at.store, at.warehouse, 0, HOURS, run_id="run", now=NOW)
    take_in(at.store, HOURS, 4, now=NOW)
    for shard in (0, 2):
        roll_up_shard(at.store, at.warehouse, shard, HOURS, run_id="run", now=NOW)
    with pytest.raises(ShardsBehindError, match=r"2026-03-10T09 and 1 hours more: not every one of the 4"):
        bring_together(at.store, at.warehouse, HOURS, now=NOW)
    roll_up_all(at.store, at.warehouse, HOURS, run_id="run", now=NOW)
    ship(HOUR, [new_event(HOUR, org="late")])  # two of four shards have it, then the run dies
    take_in(at.store, [HOUR], 4, now=NOW)
    for shard in (0, 1):
        roll_up_shard(at.store, at.warehouse, shard, [HOUR], run_id="run", now=NOW)
    publish(at.warehouse, at.store, [HOUR])
    late = survey(at.store, at.warehouse, now=HOUR + timedelta(hours=3), earliest=JANUARY).stale
    assert [each.hour for each in late] == [HOUR], "the hour is asked for again"
    with pytest.raises(ShardsBehindError):
        bring_together(at.store, at.warehouse, [HOUR], now=NOW)
    roll_up_all(at.store, at.warehouse, [HOUR], run_id="run", now=NOW)
    publish(at.warehouse, at.store, HOURS)
    assert of_shards(at) == of_one_file()


def test_one_file_becomes_four_shards_and_two_by_making_it_anew(
    at: Connections, of_one_file, tmp_path: Path
) -> None:
    expected = of_one_file()
    home = at.environment.home
    for shards in ("1", "4", "2"):
        variables = {**at.environment.variables, "SLIPWAY_WAREHOUSE_SHARDS": shards}
        changed = Connections(Environment(variables, home))
        rebuild(changed, lambda _: None)
        assert of_shards(changed) == expected
    copies = [each.key for each in at.store.list("metering/shards/")]
    assert {"metering/shards/0-of-2.duckdb", "metering/shards/3-of-4.duckdb"} <= set(copies)


@pytest.mark.parametrize("text", ["0", "65", "four", "-1", "1.5", "²"])
def test_a_number_of_shards_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(
        WrongSettingError, match=rf"SLIPWAY_WAREHOUSE_SHARDS = {text}: is not a number from 1 to 64"
    ):
        _ = Environment({"SLIPWAY_WAREHOUSE_SHARDS": text}, tmp_path).warehouse_shards

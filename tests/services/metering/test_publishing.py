"""Publishing and dying: readers see whole rollups, and a run that is killed leaves nothing to repair."""

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from slipway.metering import replicas
from slipway.metering.publish import publish, publish_copy, publish_parquet
from slipway.metering.published import PublishedCopy
from slipway.metering.queries import latencies, latency_by_hour
from slipway.metering.rollup import roll_up
from slipway.metering.schema import migrate
from slipway.metering.warehouse import USAGE_TABLES, Warehouse, WarehouseError
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.records.published_usage import COMPLETE_KEY, COPY_KEY

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = (*USAGE_TABLES, "price")
KILLS = int(os.environ.get("SLIPWAY_TEST_ROLLUP_KILLS") or 4)

Rows = Callable[[str], list[dict[str, Any]]]

# A rollup and its publication in a process of its own, which says when it is ready to be killed.
CHILD = """
import json, sys
from datetime import datetime
from pathlib import Path
from slipway.environment import S3Location
from slipway.metering.price_table import sync_prices
from slipway.metering.prices import PriceSchedule
from slipway.records.price_history import PriceRow
from slipway.metering.publish import publish
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
import duckdb, pyarrow

given = json.loads(sys.argv[1])
hours = [datetime.fromisoformat(hour) for hour in given["hours"]]
january = datetime.fromisoformat(given["january"])
row = PriceRow("chat", None, january, None, "standard", 1, 1, 1, "USD", "engine-output")
store = ObjectStore(S3Location(**given["location"]))
warehouse = Warehouse(Path(given["directory"]))
print("ready", flush=True)
now = datetime.fromisoformat(given["now"])
sync_prices(store, warehouse, [PriceSchedule("chat", "standard", (row,))], now=january)
roll_up(store, warehouse, hours, run_id="killed", now=now)
publish(warehouse, store, hours)
print("done", flush=True)
"""


def child(store: ObjectStore, warehouse: Warehouse, hours: list[datetime]) -> subprocess.Popen[str]:
    given = {
        "location": asdict(store.location), "directory": str(warehouse.directory),
        "hours": [hour.isoformat() for hour in hours], "now": NOW.isoformat(), "january": JANUARY.isoformat(),
    }  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(given)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def wait_until_it_writes(process: subprocess.Popen[str], warehouse: Warehouse, log_bytes: int) -> None:
    """Return when DuckDB's write-ahead log has so many bytes, which is in the middle of a commit."""
    log = warehouse.path.with_suffix(".duckdb.wal")
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > log_bytes:
                return


@pytest.mark.timeout(240 + 10 * KILLS)
def test_a_rollup_killed_at_any_moment_is_completed_by_the_next_one(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, rows: Rows, tmp_path: Path
) -> None:
    hours = [HOUR + timedelta(hours=n) for n in range(30)]  # two chunks
    for hour in hours:
        events = [new_event(hour + timedelta(seconds=n)) for n in range(300)]
        ship(hour, events)
        ship(hour, [*events[:5], b"{\n"])
    undisturbed = child(store, Warehouse(tmp_path / "undisturbed"), hours)
    started = time.monotonic()
    assert undisturbed.wait() == 0
    whole_run_s = time.monotonic() - started

    chance = random.Random(5)
    for number in range(KILLS):
        in_commit = number % 2 == 1
        process = child(store, warehouse, hours)
        if in_commit:
            wait_until_it_writes(process, warehouse, chance.randrange(200_000))
        else:
            time.sleep(chance.uniform(0, whole_run_s))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for table in ("rollup_run", "usage_hourly"):  # whole chunks or nothing
            assert len(rows(table)) in {0, 24, 30}
    assert child(store, warehouse, hours).wait() == 0
    survived = {table: rows(table) for table in TABLES}
    with Warehouse(tmp_path / "undisturbed").writing() as connection:
        for table in TABLES:
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (None,)
            assert len(survived[table]) == count
    assert sum(row["requests"] for row in survived["usage_hourly"]) == 30 * 300
    # The other warehouse, brought over whole, is the same row for row.
    (tmp_path / "undisturbed" / "warehouse.duckdb").replace(warehouse.path)
    assert {table: rows(table) for table in TABLES} == survived


def test_readers_see_one_whole_rollup_while_the_copy_is_replaced(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    ship(HOUR, [new_event()])

    def rollup(run: int) -> None:
        roll_up(store, warehouse, [HOUR], run_id=str(run), now=NOW)
        publish_copy(warehouse)

    rollup(0)
    copy = PublishedCopy(warehouse.directory)
    seen: set[int] = set()
    troubles: list[object] = []
    stop = threading.Event()

    def read() -> None:
        query = "SELECT r.run_id, d.run_id FROM rollup_run r, deployment_hourly d"
        while not stop.is_set():
            try:
                with copy.reading() as connection:
                    first = connection.execute(query).fetchall()
                    time.sleep(0.01)
                    again = connection.execute(query).fetchall()
            except Exception as error:  # noqa: BLE001  whatever it is, it is what the test is looking for
                troubles.append(error)
                return
            if first != again or len(first) != 1 or first[0][0] != first[0][1]:
                troubles.append((first, again))
            seen.add(int(first[0][0]))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for run in range(1, 9):
        rollup(run)
    while 8 not in seen and troubles == []:
        time.sleep(0.01)
    stop.set()
    for reader in readers:
        reader.join()
    assert troubles == []
    assert len(seen) > 3 and max(seen) == 8  # no reader is stuck with an old copy while others read


@pytest.mark.parametrize("replacements", [1, 3])
def test_a_copy_that_is_replaced_while_it_is_opened_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replacements: int
) -> None:
    def publication(version: int) -> Path:
        path = tmp_path / f"{version}.duckdb"
        with duckdb.connect(path) as connection:
            migrate(connection)
            connection.execute(f"CREATE TABLE t AS SELECT {version} AS version")
        return path

    copy = PublishedCopy(tmp_path)
    publication(0).replace(copy.path)
    following = [publication(version) for version in range(1, replacements + 1)]
    attach = PublishedCopy._attach

    def replaced_meanwhile(self: PublishedCopy) -> Any:
        attached = attach(self)
        if following:
            following.pop(0).replace(copy.path)
        return attached

    monkeypatch.setattr(PublishedCopy, "_attach", replaced_meanwhile)
    with copy.reading() as connection:
        assert connection.execute("SELECT version FROM t").fetchall() == [(replacements,)]


def test_nothing_published_yet_is_said_with_the_remedy(warehouse: Warehouse) -> None:
    with pytest.raises(
        WarehouseError, match=r"published\.duckdb: cannot be read, it is not there.*Roll up an hour"
    ):
        PublishedCopy(warehouse.directory).rows("prices")


def test_a_second_writer_waits_its_turn_and_then_says_who_is_in_the_way(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.metering.warehouse._LOCK_TIMEOUT_S", 0.2)
    with (
        warehouse.writing(),
        pytest.raises(WarehouseError, match=r"another process has been writing for more than 0\.2 s"),
        warehouse.writing(),
    ):
        pass
    with warehouse.writing() as connection:
        assert connection.execute("SELECT count(*) FROM rollup_run").fetchone() == (0,)


def test_a_file_that_is_no_warehouse_is_named(warehouse: Warehouse) -> None:
    warehouse.path.write_bytes(b"not a database" * 1000)
    with (
        pytest.raises(WarehouseError, match=r"warehouse\.duckdb: cannot be read or written.*not a valid"),
        warehouse.writing(),
    ):
        pass


def test_a_warehouse_without_enough_memory_says_so_and_keeps_what_it_had(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(HOUR, [new_event()])
    roll_up(store, warehouse, [HOUR], run_id="1", now=NOW)
    before = {table: rows(table) for table in TABLES}
    ship(HOUR, [new_event() for _ in range(20_000)])
    with monkeypatch.context() as tiny:
        tiny.setattr("slipway.metering.warehouse._WRITER_MEMORY_BYTES", 4 * 2**20)
        with pytest.raises(WarehouseError, match=r"warehouse\.duckdb: (not enough memory|the disk is full)"):
            roll_up(store, warehouse, [HOUR], run_id="2", now=NOW)
    assert {table: rows(table) for table in TABLES} == before


def test_a_store_that_is_away_leaves_the_warehouse_as_it_was(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, rows: Rows
) -> None:
    ship(HOUR, [new_event()])
    roll_up(store, warehouse, [HOUR], run_id="1", now=NOW)
    before = {table: rows(table) for table in TABLES}
    missing = ObjectStore(store.location.__class__(**{**asdict(store.location), "bucket": "gone"}))
    with pytest.raises(ObjectStoreError, match="bucket gone"):
        roll_up(missing, warehouse, [HOUR], run_id="2", now=NOW)
    assert {table: rows(table) for table in TABLES} == before


def test_parquet_of_a_day_has_all_its_hours_and_is_replaced_as_a_whole(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    import io

    import pyarrow.parquet as pq

    def published_rows(day: str) -> int:
        body = store.get(f"metering/deployment_hourly/day={day}.parquet")
        assert body is not None
        return pq.read_table(io.BytesIO(body)).num_rows

    next_day = HOUR + timedelta(days=1)
    hours = [HOUR, HOUR + timedelta(hours=1), next_day]
    for hour in hours:
        ship(hour, [new_event(hour)])
        roll_up(store, warehouse, [hour], run_id="r", now=NOW)
        publish(warehouse, store, [hour])
    assert (published_rows("2026-03-10"), published_rows("2026-03-11")) == (2, 1)


class FailingParquet(ObjectStore):
    """A store that refuses Parquet."""

    def put(self, key: str, body: bytes, *, content_type: str = "") -> str:
        raise ObjectStoreError(f"cannot write {key}: the store is full")


def test_parquet_of_a_day_whose_publication_failed_is_completed_by_the_next_one(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    """Whatever the next one is of: another day of usage, or samples."""
    next_day = HOUR + timedelta(days=1)
    for hour in (HOUR, next_day):
        ship(hour, [new_event(hour)])
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    with pytest.raises(ObjectStoreError, match="store is full"):
        publish(warehouse, FailingParquet(store.location), [HOUR])
    assert list(store.list("metering/")) == []
    replicas.roll_up(store, warehouse, [HOUR])
    roll_up(store, warehouse, [next_day], run_id="r", now=NOW)
    completed = publish(warehouse, store, [next_day]).parquet_keys
    days = ("2026-03-10", "2026-03-11")
    expected = {f"metering/{table}/day={day}.parquet" for table in USAGE_TABLES for day in days}
    expected |= {"metering/price.parquet", "metering/replicas_hourly/day=2026-03-10.parquet"}
    lying = {stored.key for stored in store.list("metering/")}
    assert set(completed) == expected == lying - {COMPLETE_KEY, COPY_KEY}
    again = publish(warehouse, store, [next_day]).parquet_keys
    assert len(again) == len(USAGE_TABLES) + 1  # nothing is left to complete


def test_a_day_that_changed_while_it_was_published_is_published_again(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    class ChangingMeanwhile(ObjectStore):
        def put(self, key: str, body: bytes, *, content_type: str = "") -> str:
            if key.endswith("price.parquet"):  # the last one
                roll_up(store, warehouse, [HOUR], run_id="meanwhile", now=NOW)
            return super().put(key, body, content_type=content_type)

    ship(HOUR, [new_event()])
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    publish(warehouse, ChangingMeanwhile(store.location), [HOUR])
    publish_copy(warehouse)
    assert len(publish_parquet(warehouse, store, [], [])) == len(USAGE_TABLES) + 1
    publish_copy(warehouse)
    assert publish_parquet(warehouse, store, [], []) == ["metering/price.parquet"]


@contextlib.contextmanager
def no_file_larger_than(size_bytes: int) -> Iterator[None]:
    """As a disk that is full, for this process: the system refuses to write further."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_in_our_words_and_what_was_there_stays(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, rows: Rows
) -> None:
    ship(HOUR, [new_event()])
    roll_up(store, warehouse, [HOUR], run_id="1", now=NOW)
    publish_copy(warehouse)
    before = {table: rows(table) for table in TABLES}
    ship(HOUR, [new_event(user=f"{n:040d}", api_key=f"{n:040d}") for n in range(20_000)])
    words = r"^[^\n]*: the disk is full\. Free space in [^\n]*, then run this again; [^\n]* as it was\.$"
    full = warehouse.path.stat().st_size
    with no_file_larger_than(full), pytest.raises(WarehouseError, match=words):
        roll_up(store, warehouse, [HOUR], run_id="2", now=NOW)
    assert {table: rows(table) for table in TABLES} == before
    roll_up(store, warehouse, [HOUR], run_id="2", now=NOW)
    with no_file_larger_than(full), pytest.raises(WarehouseError, match=words):
        publish_copy(warehouse)
    assert PublishedCopy(warehouse.directory).rows("fingerprints")[0]["objects"] == 1
    publish_copy(warehouse)
    with no_file_larger_than(1024), pytest.raises(WarehouseError, match=words):
        publish(warehouse, store, [HOUR])
    assert len(publish(warehouse, store, [HOUR]).parquet_keys) == len(USAGE_TABLES) + 1


def test_a_file_that_another_program_has_open_is_told_with_its_process(warehouse: Warehouse) -> None:
    with warehouse.writing():
        pass
    hold = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(warehouse.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        words = rf"^{warehouse.path}: is open in process {other.pid} and cannot be written\. Close it there"
        with pytest.raises(WarehouseError, match=words), warehouse.writing():
            pass
        other.terminate()
    with warehouse.writing():
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    nowhere = Warehouse(tmp_path / "file" / "warehouse")
    with pytest.raises(WarehouseError, match=r"file/warehouse: cannot be written"), nowhere.writing():
        pass


def test_quantiles_of_a_day_come_from_merged_histograms_and_are_within_one_percent(
    store: ObjectStore, warehouse: Warehouse, ship, new_event
) -> None:
    chance = np.random.default_rng(2)
    hours = [HOUR + timedelta(hours=n) for n in range(6)]
    ttft_us = [(chance.lognormal(11 + n / 3, 0.7, 400) + 1).astype(int) for n in range(6)]
    for hour, values in zip(hours, ttft_us, strict=True):
        ship(hour, [new_event(hour, ttft_us=v, duration_us=v + 10**6) for v in values.tolist()])
    roll_up(store, warehouse, hours, run_id="r", now=NOW)
    publish_copy(warehouse)
    copy = PublishedCopy(warehouse.directory)
    (day,) = latencies(copy, HOUR, HOUR + timedelta(days=1))
    assert (day.requests, day.ttft_count, day.exact) == (2400, 2400, False)
    every = np.concatenate(ttft_us) / 1e3
    for name, q in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)):
        expected = np.percentile(every, q, method="inverted_cdf")
        assert day.ttft_ms[name] == pytest.approx(expected, rel=0.0102)
    (hour_only,) = latencies(copy, HOUR, HOUR + timedelta(hours=1))
    assert hour_only.exact
    assert hour_only.ttft_ms["p95"] == pytest.approx(np.percentile(ttft_us[0], 95) / 1e3)
    plotted = latency_by_hour(copy, HOUR, HOUR + timedelta(days=1), deployment="chat")
    assert [row["hour"] for row in plotted] == hours and all(row["final"] for row in plotted)


def test_a_period_without_requests_has_no_latency(store: ObjectStore, warehouse: Warehouse) -> None:
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    publish_copy(warehouse)
    assert latencies(PublishedCopy(warehouse.directory), HOUR, NOW) == []

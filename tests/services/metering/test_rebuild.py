"""The warehouse made anew from the store: to the last digit, however old, whatever was lost of the file."""

import io
import random
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from slipway.commands.main import cli
from slipway.control import rebuilding
from slipway.control.connections import Connections
from slipway.control.rebuilding import RebuildError, ranges, rebuild
from slipway.environment import Environment
from slipway.metering import replicas
from slipway.metering.price_table import sync_prices
from slipway.metering.prices import PriceSchedule
from slipway.metering.publish import publish
from slipway.metering.published import PublishedCopy
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import USAGE_TABLES, Warehouse
from slipway.objectstore import ObjectStore
from slipway.records import replica_samples
from slipway.records.heartbeats import Heartbeat
from slipway.records.price_history import PREFIX, PriceHistoryError
from slipway.records.replica_samples import Instant, Sample
from slipway.records.usage import hour_prefix
from testbed import stores

NOW = datetime(2026, 3, 20, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
OLD = datetime(2025, 2, 3, 4, tzinfo=UTC)  # before the first partition, and beyond what the UI's dialog shows
HOURS = [OLD, *(NOON + timedelta(hours=n) for n in range(-1, 1))]
TABLES = (*USAGE_TABLES, "price", replicas.TABLE)


def quiet(_: str) -> None: ...


@dataclass
class World:
    """A store with a year of usage, prices that changed on the way, and the warehouse that was made of it."""

    at: Connections
    before: dict[str, list[Any]]

    def now(self) -> dict[str, list[Any]]:
        return contents(self.at)

    def lose(self) -> None:
        shutil.rmtree(self.at.warehouse.directory)


def contents(at: Connections) -> dict[str, list[Any]]:
    """All rows that were published, but for which run wrote them and when."""
    with PublishedCopy(at.warehouse.directory).reading() as connection:
        return {
            table: connection.execute(
                f"SELECT COLUMNS(lambda c: c NOT IN ('run_id', 'rolled_up_at')) FROM {table} ORDER BY ALL"
            ).fetchall()
            for table in TABLES
        }


@pytest.fixture
def world(store: ObjectStore, tmp_path: Path, ship, new_event, schedule) -> World:
    """A deployment that leaves, one that is renamed, one that gets its price at noon, one that is free."""
    at = Connections(Environment({**stores.variables(store.location)}, tmp_path / "home"))
    chance = random.Random(5)
    names = ("stays", "departs", "old-name", "new-name", "assigned", "free")
    for hour in HOURS:
        events = [
            new_event(
                hour + timedelta(seconds=chance.randrange(3600)), deployment=chance.choice(names),
                org=chance.choice(["acme", "own"]), input_tokens=chance.randrange(30, 10**6),
                output_tokens=chance.randrange(10**6),
                status=chance.choice(["success", "cancelled"]),
            )
            for _ in range(30)
        ]  # fmt: skip
        ship(hour, [*events, b"no event"])
        ship(hour, events[:5])
        beat = Heartbeat(hour, "gateway-1", "a", 1, hour, hour)
        store.put(beat.key, beat.encode())
        for minute in (0, 30):
            sample = Sample("stays", "a" * 64, 1 + minute, 0.5, "h100")
            replica_samples.write(store, Instant(hour + timedelta(minutes=minute), 60, (sample,)))

    def priced(*wanted: str) -> list[PriceSchedule]:
        dear = 10**9 + 7
        return [schedule(name, (OLD, dear, dear - 1, 3), (OLD, 5, 1, 7, "own")) for name in wanted]

    free = PriceSchedule("free", None)
    sync_prices(store, at.warehouse, [*priced("stays", "departs", "old-name"), free], now=OLD)
    sync_prices(store, at.warehouse, [*priced("stays", "new-name", "assigned"), free], now=NOON)
    roll_up(store, at.warehouse, HOURS, run_id="first", now=NOW)
    replicas.roll_up(store, at.warehouse, HOURS)
    publish(at.warehouse, store, HOURS)
    before = contents(at)
    assert all(before[table] for table in TABLES)
    return World(at, before)


def test_a_lost_warehouse_is_made_anew_to_the_last_digit_and_named_by_its_hours(world: World) -> None:
    """A deployment that left, a renamed one, and since when another has its price stood in the file alone."""
    store = world.at.store
    key = "metering/usage_hourly/day=2025-02-03.parquet"
    store.delete(key)
    store.put("usage/hour=2026-3-1T9/x.ndjson.gz", b"")
    store.put("samples/replicas/2026/03/01/x/0000.json", b"")
    world.lose()
    variables = {**stores.variables(store.location), "SLIPWAY_HOME": str(world.at.environment.home)}
    done = CliRunner().invoke(cli, ["warehouse", "rebuild"], env=variables)
    assert done.exit_code == 0, done.output
    assert world.now() == world.before
    with PublishedCopy(world.at.warehouse.directory).reading() as connection:
        costs = connection.execute("SELECT deployment, cost FROM usage_hourly").fetchall()
    billed = sum((cost for _, cost in costs if cost is not None), Decimal(0))
    assert {deployment for deployment, cost in costs if cost is None} >= {"free"}
    for line in (
        f"usage: {len(HOURS)} hours",
        "    2025-02-03T04",
        "    2026-03-10T11 to 2026-03-10T12",
        f"samples: {len(HOURS)} hours",
        "no hour, left out: usage/hour=2026-3-1T9/",
        "no hour, left out: samples/replicas/2026/03/01/x/",
        f"{world.at.warehouse.path}: made anew",
    ):
        assert line in done.output.splitlines()
    assert f"{30 * len(HOURS)} requests, of them" in done.output
    assert f"; {len(HOURS)} lines set aside; cost {billed:f} USD" in done.output
    parquet = pq.read_table(io.BytesIO(store.get(key) or b""))
    assert parquet.num_rows == sum(row[0] == OLD for row in world.before["usage_hourly"])


def test_one_that_dies_has_changed_nothing_and_the_next_one_replaces_a_file_that_is_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = world.at.warehouse.path.read_bytes()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "_put_in_place", killed)
        with pytest.raises(KeyboardInterrupt):
            rebuild(world.at, quiet)
    assert (world.at.warehouse.path.read_bytes(), world.now()) == (live, world.before)
    world.at.warehouse.path.write_bytes(b"no warehouse" * 1000)
    world.at.warehouse.published_path.write_bytes(b"")
    rebuild(world.at, quiet)
    assert world.now() == world.before
    assert not (world.at.warehouse.directory / "rebuild").exists()


def test_what_is_rolled_up_while_it_is_made_anew_is_in_it(
    world: World, ship, new_event, schedule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, later = HOURS[1], HOURS[-1] + timedelta(hours=1)
    changed, made = rebuilding._changed, []

    def others_first(at: Connections, anew: Warehouse) -> list[datetime]:
        ship(late, [new_event(late, org="late")])
        ship(later, [new_event(later)])
        sync_prices(at.store, Warehouse(tmp_path / "x"), [schedule("x", (OLD, 1, 1, 1))], now=NOW)
        made.extend(changed(at, anew))
        return made

    monkeypatch.setattr(rebuilding, "_changed", others_first)
    rebuilt = rebuild(world.at, quiet)
    assert made == [late, later]
    assert [summary.hour for summary in rebuilt.usage] == [*HOURS, later]
    there = world.now()
    assert {row[1] for row in there["usage_hourly"] if row[0] == late} == {"acme", "own", "late"}
    assert "x" in {row[0] for row in there["price"]}


def test_hours_whose_usage_is_gone_are_named_and_not_lost(world: World) -> None:
    """All of it in one hour, one object of two in another."""
    one_of_two = next(world.at.store.list(hour_prefix(NOON)))
    for stored in [*world.at.store.list(hour_prefix(OLD)), one_of_two]:
        world.at.store.delete(stored.key)
    with pytest.raises(
        RebuildError, match=r"2 hours of which .* fewer usage .*: 2025-02-03T04, 2026-03-10T12"
    ):
        rebuild(world.at, quiet)
    assert world.now() == world.before
    rebuilt = rebuild(world.at, quiet, without_gone=True)
    assert [summary.hour for summary in rebuilt.usage] == HOURS[1:]


def test_a_warehouse_of_the_version_before_gives_its_prices_to_the_history_first(world: World) -> None:
    for stored in list(world.at.store.list(PREFIX)):
        world.at.store.delete(stored.key)
    rebuild(world.at, quiet)
    assert world.now() == world.before


def test_two_at_once_are_one(store: ObjectStore, tmp_path: Path) -> None:
    at = Connections(Environment(stores.variables(store.location), tmp_path / "home"))
    with rebuilding._alone(at.warehouse), pytest.raises(RebuildError, match="made anew already"):
        rebuild(at, quiet)


def test_without_a_price_history_nothing_is_made_and_with_an_empty_one_an_empty_warehouse(
    store: ObjectStore, tmp_path: Path
) -> None:
    at = Connections(Environment(stores.variables(store.location), tmp_path / "home"))
    with pytest.raises(PriceHistoryError, match="restore it from a backup"):
        rebuild(at, quiet)
    assert not at.warehouse.path.exists()
    sync_prices(store, Warehouse(tmp_path / "elsewhere"), (), now=NOW)
    assert rebuild(at, quiet).usage == ()
    assert contents(at) == {table: [] for table in TABLES}


def test_hours_are_told_as_ranges_without_a_gap() -> None:
    assert ranges([]) == []
    assert ranges(reversed(HOURS)) == ["2025-02-03T04", "2026-03-10T11 to 2026-03-10T12"]

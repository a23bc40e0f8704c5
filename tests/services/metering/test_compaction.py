"""Small objects become one Parquet object: nothing is lost or counted twice, wherever it is interrupted."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from slipway.commands.main import cli
from slipway.control.connections import Connections
from slipway.control.rebuilding import rebuild
from slipway.environment import Environment
from slipway.metering import compaction
from slipway.metering.compacted import DamagedObjectError
from slipway.metering.compaction import GRACE, CompactedHour, compact
from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish_copy
from slipway.metering.rollup import HourSummary, roll_up
from slipway.metering.staleness import survey
from slipway.metering.warehouse import USAGE_TABLES, Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.usage import compacted_name, hour_prefix
from testbed import stores

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
LATER = NOW + GRACE

Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def usage(store: ObjectStore, warehouse: Warehouse, ship, new_event, schedule) -> list[str]:
    """Two objects of an hour with a copy, a conflict and lines that are none; one object that is no gzip."""
    begun = HOUR - timedelta(days=30)
    sync_prices(store, warehouse, [schedule("chat", (begun, 3, 1, 7))], now=begun)
    events = [new_event(HOUR + timedelta(seconds=n), org=f"org-{n % 3}") for n in range(200)]
    conflict = new_event(request_id=events[0].request_id, output_tokens=99)
    odd = b'{"request_id": "half\n'
    return [
        ship(HOUR, [*events[:100], odd, b"\xff\xfe no text\n"]),
        ship(HOUR, [*events[90:], conflict]),
        ship(HOUR, body=b"no gzip"),
    ]


def keys(store: ObjectStore) -> list[str]:
    return [stored.key for stored in store.list(hour_prefix(HOUR))]


def rolled_up(store: ObjectStore, warehouse: Warehouse, rows: Rows) -> dict[str, Any]:
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    return {table: rows(table) for table in USAGE_TABLES}


def compacted(store: ObjectStore, warehouse: Warehouse, now: datetime) -> list[CompactedHour]:
    return list(compact(store, warehouse, [HOUR], now=now))


def asked_for(store: ObjectStore, warehouse: Warehouse) -> tuple[Any, Any]:
    publish_copy(warehouse)
    found = survey(store, warehouse, now=HOUR + timedelta(hours=1, minutes=20), earliest=HOUR)
    return [each.hour for each in found.stale], found.shrunk


def test_a_compacted_hour_gives_the_same_rows_and_is_not_asked_for(
    store: ObjectStore, warehouse: Warehouse, usage: list[str], rows: Rows
) -> None:
    before = rolled_up(store, warehouse, rows)
    assert len(before["quarantine"]) == 3 and before["rollup_run"][0]["conflicts"] == 1
    (made,) = compacted(store, warehouse, NOW)
    assert made.made is not None and made.removed == 0
    assert made.made.contents.lines == 102 + 111 and made.made.contents.counted == 211
    assert sorted(keys(store)) == sorted([*usage, made.made.stored.key])  # the grace time has not passed
    assert rolled_up(store, warehouse, rows) == before
    assert asked_for(store, warehouse) == ([], ())
    (removed,) = compacted(store, warehouse, LATER)
    assert (removed.made, removed.removed) == (None, 2)
    assert sorted(keys(store)) == sorted([usage[2], made.made.stored.key])  # nobody could give it back
    assert asked_for(store, warehouse) == ([], ())
    assert rolled_up(store, warehouse, rows) == before
    assert asked_for(store, warehouse) == ([], ())
    assert compacted(store, warehouse, LATER + GRACE) == []


def test_what_comes_late_is_read_beside_it_and_joins_it(
    store: ObjectStore, warehouse: Warehouse, usage: list[str], rows: Rows, ship, new_event
) -> None:
    compacted(store, warehouse, NOW)
    compacted(store, warehouse, LATER)
    (first,) = roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    publish_copy(warehouse)
    late = ship(HOUR, [new_event(org="late")])
    assert asked_for(store, warehouse) == ([HOUR], ())
    with_late = rolled_up(store, warehouse, rows)
    assert with_late["rollup_run"][0]["rows_in"] == first.rows_in + 1
    assert with_late["rollup_run"][0]["objects"] == first.objects + 1
    assert asked_for(store, warehouse) == ([], ())
    (again,) = compacted(store, warehouse, LATER + GRACE)
    assert again.made is not None and len(again.made.made_of) == 3
    assert rolled_up(store, warehouse, rows) == with_late  # the one before and the late one are still there
    (removed,) = compacted(store, warehouse, LATER + 2 * GRACE)
    assert removed.removed == 2
    assert sorted(keys(store)) == sorted([usage[2], again.made.stored.key]) and late not in keys(store)
    assert rolled_up(store, warehouse, rows) == with_late
    assert asked_for(store, warehouse) == ([], ())


@pytest.mark.parametrize("function", ["_verify", "_remove"])
def test_one_that_dies_has_lost_nothing_and_the_next_one_completes(
    store: ObjectStore,
    warehouse: Warehouse,
    usage: list[str],
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
) -> None:
    before = rolled_up(store, warehouse, rows)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compaction, function, killed)
        with pytest.raises(KeyboardInterrupt):
            compacted(store, warehouse, NOW)
    assert rolled_up(store, warehouse, rows) == before
    deleted: list[str] = []
    delete = store.delete

    def killed_after_one(key: str) -> None:
        if deleted:
            raise KeyboardInterrupt
        deleted.append(key)
        delete(key)

    compacted(store, warehouse, NOW)
    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", killed_after_one)
        with pytest.raises(KeyboardInterrupt):
            compacted(store, warehouse, LATER)
    assert len(keys(store)) == 3
    assert asked_for(store, warehouse) == ([], ())
    assert rolled_up(store, warehouse, rows) == before
    compacted(store, warehouse, LATER)
    assert len(keys(store)) == 2
    assert rolled_up(store, warehouse, rows) == before


def test_small_objects_stay_when_the_compacted_one_is_damaged(
    store: ObjectStore, warehouse: Warehouse, usage: list[str], rows: Rows
) -> None:
    (made,) = compacted(store, warehouse, NOW)
    assert made.made is not None
    key = made.made.stored.key
    whole = store.get(key) or b""
    rolled_up(store, warehouse, rows)
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    for body in (whole[:-1], bytes(flipped), b"", b"x" * len(whole)):
        store.put(key, body)
        with pytest.raises(DamagedObjectError, match=r"compacted-.*in bucket.*restore it from a backup"):
            compacted(store, warehouse, LATER)
        assert sorted(keys(store)) == sorted([*usage, key])
    store.delete(key)
    (again,) = compacted(store, warehouse, NOW)
    assert again.made is not None and again.made.stored.key == key  # the same lines make the same object
    compacted(store, warehouse, LATER)
    store.put(key, whole[:-1])  # and there is nothing else now
    with pytest.raises(DamagedObjectError, match="Nothing was changed"):
        roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    assert asked_for(store, warehouse) == ([], (HOUR,))  # somebody is told


def test_one_of_a_version_that_knew_fewer_columns_is_read_by_its_lines(
    store: ObjectStore, warehouse: Warehouse, usage: list[str], rows: Rows, tmp_path: Path
) -> None:
    before = rolled_up(store, warehouse, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "sql", lambda name: _without_units(name))
        patch.setattr(compaction, "_verify", lambda *_: None)
        compacted(store, warehouse, NOW)
    (key,) = [each for each in keys(store) if compacted_name(each)]
    path = tmp_path / "old.parquet"
    path.write_bytes(store.get(key) or b"")
    columns = [row[0] for row in duckdb.sql(f"DESCRIBE FROM '{path}'").fetchall()]
    assert "documents" not in columns and "line" in columns
    assert rolled_up(store, warehouse, rows) == before


def _without_units(name: str) -> str:
    from slipway.metering.statements import sql

    text = sql(name)
    return (
        text.replace("SELECT *", "SELECT * EXCLUDE (documents, searches)")
        if name == "compacted_rows"
        else text
    )


def test_recent_hours_are_left_alone(store: ObjectStore, warehouse: Warehouse, usage: list[str]) -> None:
    assert compacted(store, warehouse, HOUR + timedelta(hours=48)) == []
    assert sorted(keys(store)) == sorted(usage)


def test_a_rebuild_of_compacted_hours_gives_the_same_tables(
    store: ObjectStore, usage: list[str], tmp_path: Path
) -> None:
    at = Connections(Environment({**stores.variables(store.location)}, tmp_path / "home"))
    before = rebuild(at, lambda _: None)
    variables = {**stores.variables(store.location), "SLIPWAY_HOME": str(at.environment.home)}
    done = CliRunner().invoke(cli, ["warehouse", "compact", "--grace-hours", "0"], env=variables)
    assert done.exit_code == 0, done.output
    assert "2026-03-10T09: 213 lines of 2 objects became one" in done.output
    assert "2 objects removed" in done.output
    after = rebuild(at, lambda _: None)
    assert [_plain(hour) for hour in after.usage] == [_plain(hour) for hour in before.usage]


def _plain(summary: HourSummary) -> dict[str, Any]:
    return {name: value for name, value in vars(summary).items() if name != "run_id"}


def test_an_hour_of_broken_objects_alone_stays_as_it_is(
    store: ObjectStore, warehouse: Warehouse, ship
) -> None:
    broken = [ship(HOUR, body=body) for body in (b"", b"?", gzip.compress(b"{}")[:-2])]
    assert compacted(store, warehouse, NOW) == []
    assert sorted(keys(store)) == sorted(broken)

"""A warehouse of another version: an earlier one is brought forward and kept, a later one is left alone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from slipway.metering import schema
from slipway.metering.publish import publish_copy
from slipway.metering.published import PublishedCopy
from slipway.metering.rollup import roll_up
from slipway.metering.staleness import survey
from slipway.metering.warehouse import Warehouse, WarehouseError
from slipway.objectstore import ObjectStore

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)


def made_by_the_first_version(path: Path) -> None:
    """Before units and versions: tables that it knew, with a row each, and a view as it was then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(path) as connection:
        connection.execute(
            'CREATE TABLE usage_hourly (hour TIMESTAMPTZ, org VARCHAR, "user" VARCHAR, api_key VARCHAR, '
            "deployment VARCHAR, model VARCHAR, price_version VARCHAR, requests BIGINT, "
            "input_uncached BIGINT, input_cached BIGINT, output BIGINT, cost DECIMAL(38, 12), "
            "currency VARCHAR)"
        )
        connection.execute(
            "INSERT INTO usage_hourly (hour, org, deployment, price_version, requests, input_uncached) "
            "VALUES ($hour, 'acme', 'small', 'v', 3, 5)",
            {"hour": HOUR},
        )
        connection.execute(
            "CREATE TABLE price (deployment VARCHAR, org VARCHAR, effective_from TIMESTAMPTZ, "
            "effective_to TIMESTAMPTZ, version VARCHAR, input BIGINT, cached BIGINT, output BIGINT, "
            "currency VARCHAR, bill_failed VARCHAR, book VARCHAR, assigned_from TIMESTAMPTZ)"
        )
        connection.execute(
            "INSERT INTO price (deployment, effective_from, version, input, currency) "
            "VALUES ('small', '2026-01-01', 'v', 2000000, 'EUR')"
        )
        connection.execute("CREATE VIEW cost_hourly AS SELECT org FROM usage_hourly")
        connection.execute("CREATE TABLE rollup_run (hour TIMESTAMPTZ, run_id VARCHAR)")


def costs(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int, Decimal]]:
    return connection.execute("SELECT org, unit, quantity, cost FROM cost_hourly").fetchall()


def of_a_later_version(path: Path) -> None:
    with duckdb.connect(path) as connection:
        connection.execute("DELETE FROM warehouse_version")
        connection.execute(f"INSERT INTO warehouse_version VALUES ({schema.VERSION + 1}, now())")


def test_an_earlier_one_is_brought_forward_and_a_copy_is_kept(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    made_by_the_first_version(warehouse.path)
    for _ in range(2):  # the second time there is nothing to do
        with warehouse.writing() as connection:
            assert schema.version(connection) == schema.VERSION
            rows = connection.execute("SELECT org, requests, documents, task FROM usage_hourly").fetchall()
            assert rows == [("acme", 3, 0, None)]
            assert connection.execute("SELECT count(*) FROM deployment_hourly").fetchone() == (0,)
            assert costs(connection) == [("acme", "input_uncached", 5, Decimal("0.000010000000"))]
    kept = tmp_path / "warehouse.version-1.duckdb"
    with duckdb.connect(kept, read_only=True) as connection:
        assert schema.version(connection) == 1
        assert connection.execute("SELECT hour, org, requests FROM usage_hourly").fetchall() == [
            (HOUR, "acme", 3)
        ]
    assert sorted(path.name for path in tmp_path.glob("*.duckdb")) == sorted([kept.name, warehouse.path.name])


def test_what_stands_in_the_log_alone_is_in_the_kept_copy(tmp_path: Path) -> None:
    """A killed writer of the version before leaves committed rows there."""
    warehouse = Warehouse(tmp_path)
    made_by_the_first_version(warehouse.path)
    aside = tmp_path / "aside"
    with duckdb.connect(warehouse.path) as connection:
        connection.execute(
            "SET checkpoint_threshold = '1GB'; INSERT INTO rollup_run VALUES (now(), 'logged')"
        )
        files = {path.name: path.read_bytes() for path in tmp_path.glob("warehouse.duckdb*")}
    assert "warehouse.duckdb.wal" in files
    aside.mkdir()
    for name, content in files.items():
        (aside / name).write_bytes(content)
    with Warehouse(aside).writing() as connection:
        assert connection.execute("SELECT run_id FROM rollup_run").fetchall() == [("logged",)]
    with duckdb.connect(aside / "warehouse.version-1.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT run_id FROM rollup_run").fetchall() == [("logged",)]


def test_a_migration_that_fails_has_changed_nothing_and_the_next_one_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse(tmp_path)
    made_by_the_first_version(warehouse.path)
    statements = schema.statements()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "statements", lambda: statements + "SELECT error('in the middle');")
        with pytest.raises(duckdb.InvalidInputException, match="in the middle"), warehouse.writing():
            pass
    with duckdb.connect(warehouse.path, read_only=True) as connection:
        assert schema.version(connection) == 1
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (3,)
        assert connection.execute("SELECT org FROM cost_hourly").fetchall() == [("acme",)]
    with warehouse.writing() as connection:
        assert schema.version(connection) == schema.VERSION


def test_a_later_one_is_refused_and_left_as_it_is(store: ObjectStore, warehouse: Warehouse) -> None:
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    publish_copy(warehouse)
    for path in (warehouse.path, warehouse.published_path):
        of_a_later_version(path)
    content = warehouse.path.read_bytes()
    for use in (
        lambda: roll_up(store, warehouse, [HOUR], run_id="r", now=NOW),
        lambda: publish_copy(warehouse),
        lambda: PublishedCopy(warehouse.directory).rows("prices"),
    ):
        with pytest.raises(
            WarehouseError, match=rf"has version {schema.VERSION + 1} of the schema.*warehouse rebuild"
        ):
            use()
    assert warehouse.path.read_bytes() == content


def test_a_copy_of_the_version_before_is_surveyed(store: ObjectStore, warehouse: Warehouse) -> None:
    """It does not say at which prices its hours were rated; they are taken for right."""
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    publish_copy(warehouse)
    with duckdb.connect(warehouse.published_path) as connection:
        connection.execute("DROP TABLE hour_prices; UPDATE warehouse_version SET version = 2")
    assert survey(store, warehouse, now=HOUR + timedelta(hours=2), earliest=HOUR).stale == ()


def test_a_copy_that_an_earlier_version_published_is_read_as_one_of_this(tmp_path: Path) -> None:
    """Until the first rollup of this version publishes its own."""
    copy = PublishedCopy(tmp_path)
    made_by_the_first_version(copy.path)
    with copy.reading() as connection:
        rows = connection.execute("SELECT hour, org, requests, searches, task FROM usage_hourly").fetchall()
        assert rows == [(HOUR, "acme", 3, 0, None)]
        assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
        assert costs(connection) == [("acme", "input_uncached", 5, Decimal("0.000010000000"))]
    assert [row["searches"] for row in copy.rows("prices")] == [None]

"""What is put into the bucket for those who have nothing else: the DuckDB file, and reports."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from pipelines.definitions import build_definitions
from slipway.control import reporting
from slipway.control.connections import Connections
from slipway.environment import Environment
from slipway.metering.publish import publish
from slipway.metering.rollup import roll_up
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.records.published_usage import COMPLETE_KEY, COPY_KEY, report_key
from testbed import stores

from .conftest import HOUR, NOW


def runs_of(store: ObjectStore, path: Path) -> list[tuple[str]]:
    body = store.get(COPY_KEY)
    assert body is not None
    path.write_bytes(body)
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS copy (READ_ONLY)")
        return connection.execute("SELECT run_id FROM copy.rollup_run").fetchall()


@pytest.mark.parametrize("part_bytes", [2**30, 5 * 2**20])
def test_the_duckdb_file_is_replaced_as_a_whole_in_one_piece_or_in_parts(
    store, warehouse, ship, new_event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    monkeypatch.setattr("slipway.objectstore._PART_BYTES", part_bytes)
    ship(HOUR, [new_event() for _ in range(50)])
    for run in ("first", "second"):
        roll_up(store, warehouse, [HOUR], run_id=run, now=NOW)
        if run == "first":  # large enough for several parts
            with warehouse.writing() as connection:
                connection.execute("CREATE TABLE ballast AS SELECT random() AS x FROM range(2_000_000)")
        publish(warehouse, store, [HOUR])
        assert runs_of(store, tmp_path / "copy.duckdb") == [(run,)]
    assert warehouse.published_path.stat().st_size > 10 * 2**20


def test_a_store_that_is_away_leaves_the_last_copy_and_the_mark_comes_after_it(
    store, warehouse, ship, new_event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(HOUR, [new_event()])
    roll_up(store, warehouse, [HOUR], run_id="first", now=NOW)
    publish(warehouse, store, [HOUR])
    store.delete(COMPLETE_KEY)
    roll_up(store, warehouse, [HOUR], run_id="second", now=NOW)
    with monkeypatch.context() as cut_off:

        def away(*_: object, **__: object) -> None:
            raise ObjectStoreError("away")

        cut_off.setattr(ObjectStore, "put_file", away)
        with pytest.raises(ObjectStoreError):
            publish(warehouse, store, [HOUR])
    assert runs_of(store, tmp_path / "copy.duckdb") == [("first",)]
    assert store.get(COMPLETE_KEY) is None
    publish(warehouse, store, [HOUR])
    assert runs_of(store, tmp_path / "copy.duckdb") == [("second",)]
    assert store.get(COMPLETE_KEY) is not None


@pytest.mark.parametrize("kind", list(reporting.KINDS))
def test_a_report_without_a_request_is_a_report(store, warehouse, kind: str) -> None:
    publish(warehouse, store, [])
    variables = {**stores.variables(store.location), "SLIPWAY_WAREHOUSE": str(warehouse.directory)}
    reporting.report(Connections(Environment(variables, warehouse.directory)), kind, NOW)
    body = store.get(report_key(kind))
    assert body is not None and b"No hour is complete yet." in body and b'"rows":[]' in body


def test_the_job_of_reports_makes_each_and_says_where_it_lies(
    store, warehouse, ship, new_event, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(HOUR, [new_event()])
    roll_up(store, warehouse, [HOUR], run_id="1", now=NOW)
    publish(warehouse, store, [HOUR])
    for name, value in stores.variables(store.location).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLIPWAY_WAREHOUSE", str(warehouse.directory))
    job = build_definitions(Path(__file__).parents[3] / "catalog").resolve_job_def("reports")
    done = job.execute_in_process()
    told = {
        event.asset_key.to_user_string(): event.materialization.metadata["key"].value
        for event in done.get_asset_materialization_events()
    }
    assert told == {f"report/{kind}": report_key(kind) for kind in reporting.KINDS}
    assert all(store.get(key) for key in told.values())


@pytest.mark.parametrize("kind", list(reporting.KINDS))
def test_a_report_of_the_last_days_is_kept_in_the_bucket(
    store, warehouse, ship, new_event, kind: str
) -> None:
    ship(HOUR, [new_event(org="acme")])
    roll_up(store, warehouse, [HOUR], run_id="1", now=NOW)
    publish(warehouse, store, [HOUR])
    variables = {**stores.variables(store.location), "SLIPWAY_WAREHOUSE": str(warehouse.directory)}
    now = datetime(2026, 3, 12, 8, 30, tzinfo=UTC)
    reported = reporting.report(Connections(Environment(variables, warehouse.directory)), kind, now)
    assert reported.key == report_key(kind) == f"metering/reports/{kind}.html"
    body = store.get(reported.key)
    assert body is not None and len(body) == reported.size_bytes and body.endswith(b"</html>\n")
    assert b'"chat"' in body  # the hour is of the last days
    assert (reported.period.end - reported.period.start).days == reporting.DAYS

"""A backfill: one run over many days, which goes on where it died, and lets others write between its days."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from assets import keys, retries
from assets.partitions import range_tags
from pipelines.definitions import build_definitions
from resources.all import resources
from slipway.commands.main import cli
from slipway.metering import rollup
from slipway.metering.publish import publish
from slipway.metering.rollup import HourSummary, roll_up
from slipway.metering.shards.rolling import roll_up_all
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from testbed import stores

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
HOURS = [FIRST + timedelta(hours=n) for n in range(72)]


@pytest.fixture
def usage(ship, new_event) -> None:
    """An event in every third hour of three days."""
    for hour in HOURS[::3]:
        ship(hour, [new_event(hour)])


@pytest.fixture
def chunks_done(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The hours that were really rolled up, in the order of that."""
    done: list[datetime] = []
    real = rollup._replace_rows

    def noted(connection: Any, chunk: Any, *given: Any) -> Any:
        done.extend(chunk)
        return real(connection, chunk, *given)

    monkeypatch.setattr(rollup, "_replace_rows", noted)
    return done


class KilledError(Exception):
    """What ends a run in the middle."""


def dies_after(days: int) -> Any:
    """Hears of each day, and ends the run after so many."""
    heard: list[str] = []

    def say(line: str) -> None:
        heard.append(line)
        if len(heard) == days:
            raise KilledError

    return say


@pytest.mark.usefixtures("usage")
def test_another_rollup_has_its_turn_after_each_day(store: ObjectStore, warehouse: Warehouse) -> None:
    this_hour = NOW - timedelta(hours=1)
    others: list[HourSummary] = []

    def say(line: str) -> None:  # the writer's lock is free whenever a day was done
        others.extend(roll_up(store, Warehouse(warehouse.directory), [this_hour], run_id="hourly", now=NOW))

    done = roll_up(store, warehouse, HOURS, run_id="backfill", now=NOW, say=say)
    assert [each.hour for each in done] == HOURS and len(others) == 3


@pytest.mark.usefixtures("usage")
@pytest.mark.parametrize("shards", [1, 2])
def test_what_a_run_did_before_it_died_is_not_done_again_but_where_something_came_since(
    store: ObjectStore, tmp_path: Path, warehouse: Warehouse, ship, new_event, chunks_done, shards: int
) -> None:
    spread = Warehouse(tmp_path / "spread", shards)
    with pytest.raises(KilledError):
        roll_up_all(store, spread, HOURS, run_id="a", now=NOW, say=dies_after(2 if shards == 1 else 72))
    ship(HOURS[3], [new_event(HOURS[3])])
    del chunks_done[:]
    done = roll_up_all(store, spread, HOURS, run_id="b", now=NOW, done_by=["a", "b"])
    assert [each.hour for each in done] == HOURS and done[3].requests == 2
    assert sum(each.requests for each in done) == 25
    if shards == 1:
        assert chunks_done == [HOURS[3], *HOURS[48:]]
    with spread.writing() as connection:
        by_run = dict(connection.execute("SELECT run_id, count(*) FROM rollup_run GROUP BY ALL").fetchall())
    assert by_run == ({"a": 47, "b": 25} if shards == 1 else by_run)


@pytest.mark.usefixtures("usage", "warehouse")
def test_a_backfill_of_the_ui_that_failed_goes_on_and_one_that_is_launched_anew_begins_anew(
    store: ObjectStore, tmp_path: Path, chunks_done, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {**stores.variables(store.location), "SLIPWAY_HOME": str(tmp_path / "home")}
    given = resources(variables)
    job = build_definitions(tmp_path / "no-catalog", resources=given).resolve_job_def("rollup")
    tags = range_tags(HOURS[0], HOURS[-1])
    selection = [keys.REQUESTS, keys.LATENCY, keys.USAGE, keys.COST]
    real, days = rollup.summaries_of, []

    def killed(connection: Any, chunk: Any) -> Any:
        days.append(chunk)
        if len(days) == 2:
            raise dg.Failure("killed", allow_retries=False)
        return real(connection, chunk)

    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(rollup, "summaries_of", killed)
        failed = job.execute_in_process(
            instance=instance, tags=tags, asset_selection=selection, raise_on_error=False
        )
        assert not failed.success and chunks_done == HOURS[:48]
        del chunks_done[:]
        resumed = {**tags, "dagster/is_resume_retry": "true"}
        run = instance.create_run_for_job(
            job, tags=resumed, asset_selection=frozenset(selection),
            parent_run_id=failed.run_id, root_run_id=failed.run_id,
        )  # fmt: skip
    assert retries.done_by(run) == {run.run_id, failed.run_id}
    assert retries.done_by(failed.dagster_run) == {failed.run_id}


@pytest.mark.usefixtures("usage", "warehouse")
def test_the_command_rolls_up_a_period_and_says_how_to_go_on(
    store: ObjectStore, tmp_path: Path, chunks_done, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stores.variables(store.location).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLIPWAY_WAREHOUSE", str(tmp_path / "asked"))

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["--home", str(tmp_path / "home"), "backfill", *arguments])

    done = run("2026-03-01..2026-03-02")
    assert done.exit_code == 0 and "48 hours, 16 requests" in done.output
    assert "2026-03-02T00 to 2026-03-02T23: 24 hours rolled up" in done.output
    run_id = done.output.split()[1].rstrip(";")
    del chunks_done[:]
    again = run("2026-03-01..2026-03-03", "--resume", run_id)
    assert chunks_done == HOURS[48:] and "24 hours rolled up, 24 of them before" in again.output
    assert "72 hours, 24 requests" in again.output
    for wrong, why in (("2026-13", "no period"), ("2999-01", "is in the future")):
        refused = run(wrong)
        assert refused.exit_code == 2 and why in refused.output
    publish(Warehouse(tmp_path / "asked"), store, [])

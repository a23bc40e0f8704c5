"""docs/queries.md, run as it stands against a copy that was downloaded from the store."""

import re
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish
from slipway.metering.rollup import roll_up
from slipway.records.published_usage import COPY_KEY

from .conftest import HOUR, JANUARY, NOW

PAGE = (Path(__file__).parents[3] / "docs" / "queries.md").read_text()
FIRST, *QUESTIONS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
# Questions whose answer is "none" where all is well.
NO_ROWS = ("cost <> (", "NOT final")


@pytest.fixture
def downloaded(store, warehouse, ship, new_event, schedule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A directory with nothing but the DuckDB file of the bucket; the warehouse itself is gone."""
    sync_prices(store, warehouse, [schedule("chat", (JANUARY, 3, 1, 7))], now=JANUARY)
    hours = [HOUR + timedelta(hours=n) for n in range(3)]
    for hour in hours:
        ship(hour, [new_event(hour, org=org) for org in ("acme", "globex")])
    ship(HOUR, [new_event(deployment="code", model="code")])
    roll_up(store, warehouse, hours, run_id="1", now=NOW)
    publish(warehouse, store, hours)
    for path in warehouse.directory.iterdir():
        path.unlink(missing_ok=True)
    body = store.get(COPY_KEY)
    assert body is not None
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / "published.duckdb").write_bytes(body)
    monkeypatch.chdir(directory)
    return directory


def test_every_statement_of_the_page_runs_on_a_downloaded_copy(downloaded: Path) -> None:
    assert len(QUESTIONS) >= 7
    with duckdb.connect() as connection:
        connection.execute(FIRST)
        for question in QUESTIONS:
            found = connection.execute(question).fetchall()
            assert bool(found) != any(sign in question for sign in NO_ROWS), question
        costs = connection.execute(QUESTIONS[0]).fetchall()
        assert {row[1:] for row in costs} == {
            (org, "USD", f"0.{3 * (80 * 3 + 20 * 1 + 11 * 7):012d}") for org in ("acme", "globex")
        }
        assert connection.execute("SELECT count(*) FROM duckdb_databases() WHERE readonly").fetchone() == (1,)


def test_every_key_that_the_page_names_is_in_the_bucket(downloaded: Path, store) -> None:
    keys = {stored.key for stored in store.list("metering/")}
    named = set(re.findall(r"`(metering/[^`]+)`", PAGE))
    assert {re.sub(r"day=[\d-]+", "day=2026-03-10", key) for key in named} <= keys

"""What usage costs outlives the warehouse's file: it is rated by the price history, or not at all."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from slipway.metering.price_table import read_prices, sync_prices
from slipway.metering.prices import PriceSchedule
from slipway.metering.publish import publish
from slipway.metering.rollup import roll_up
from slipway.metering.staleness import survey
from slipway.metering.warehouse import Warehouse, sql
from slipway.objectstore import ObjectStore
from slipway.records.price_history import PREFIX, PriceHistory, PriceHistoryError, PriceRow

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
COST = Decimal(100 + 11).scaleb(-12)  # of one event at one pico per token

Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def fresh(tmp_path: Path) -> Warehouse:
    """A warehouse whose file is not there."""
    return Warehouse(tmp_path / "fresh")


def costs(
    store: ObjectStore, warehouse: Warehouse, *hours: datetime, now: datetime = NOW
) -> list[Decimal | None]:
    """What each hour costs when it is rolled up now."""
    return [summary.cost.get("USD") for summary in roll_up(store, warehouse, hours, run_id="r", now=now)]


def forget(store: ObjectStore) -> None:
    """As if the bucket never had a price history."""
    for stored in list(store.list(PREFIX)):
        store.delete(stored.key)


def test_a_rollup_without_a_price_history_is_refused_and_changes_nothing(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, rows: Rows
) -> None:
    ship(HOUR, [new_event()])
    roll_up(store, warehouse, [HOUR], run_id="before", now=NOW)
    before = rows("rollup_run")
    forget(store)
    ship(HOUR, [new_event()])
    with pytest.raises(PriceHistoryError, match="restore it from a backup"):
        roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    assert rows("rollup_run") == before


def test_a_warehouse_made_anew_rates_as_the_lost_one_did(
    store: ObjectStore, warehouse: Warehouse, fresh: Warehouse, ship, new_event, schedule
) -> None:
    """Renamed and departed deployments, and since when a book was assigned, stood in the file alone."""
    later = HOUR + timedelta(hours=4)
    for hour in (HOUR, later):
        ship(hour, [new_event(hour, deployment=name) for name in ("stays", "departed", "assigned")])
    sync_prices(
        store, warehouse, [schedule(name, (JANUARY, 1, 1, 1)) for name in ("stays", "departed")], now=JANUARY
    )
    left = [schedule(name, (JANUARY, 1, 1, 1)) for name in ("stays", "assigned")]
    sync_prices(store, warehouse, left, now=NOON)
    assert costs(store, warehouse, HOUR, later) == [2 * COST, 3 * COST]
    assert costs(store, fresh, HOUR, later) == [2 * COST, 3 * COST]


@pytest.mark.parametrize(
    "spoil",
    ["DELETE FROM price", "UPDATE price SET input = 7", "INSERT INTO price FROM price", "DROP TABLE price"],
)
def test_a_price_table_that_is_not_the_history_is_brought_to_it_before_it_is_joined(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, schedule, spoil: str
) -> None:
    ship(HOUR, [new_event()])
    sync_prices(store, warehouse, [schedule("chat", (JANUARY, 1, 1, 1))], now=JANUARY)
    with warehouse.writing() as connection:
        connection.execute(spoil)
    assert costs(store, warehouse, HOUR) == [COST]


def test_a_warehouse_of_the_version_before_begins_the_history_once_with_its_own_prices(
    store: ObjectStore, fresh: Warehouse, ship, new_event, schedule
) -> None:
    old = schedule("chat", (JANUARY, 1, 1, 1)).rows
    with fresh.writing() as connection:
        for row in old:
            insert(connection, row)
    ship(HOUR, [new_event()])
    assert costs(store, fresh, HOUR) == [COST]
    taken = PriceHistory(store).required()
    assert (taken.number, taken.rows, taken.taken_at) == (1, old, NOW)
    assert costs(store, fresh, HOUR, now=NOW + timedelta(days=1)) == [COST]
    assert PriceHistory(store).required() == taken
    assert costs(store, Warehouse(fresh.directory / "another"), HOUR) == [COST]


def test_prices_of_the_catalog_go_on_from_those_of_the_version_before(
    store: ObjectStore, fresh: Warehouse, schedule
) -> None:
    """The catalog alone would begin the history at this instant, and leave all before it free."""
    old = schedule("chat", (JANUARY, 1, 1, 1))
    with fresh.writing() as connection:
        insert(connection, *old.rows)
    sync_prices(store, fresh, [old, schedule("new", (JANUARY, 2, 2, 2))], now=NOW)
    since = {row.deployment: row.effective_from for row in PriceHistory(store).required().rows}
    assert since == {"chat": JANUARY, "new": NOW}


def test_a_rollup_right_after_a_first_price_bills_nothing_that_was_served_before_it(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, schedule
) -> None:
    """Free until a book is assigned at 12:00: the hour of 10:00 and closed February stay free."""
    february, ten, noon = datetime(2026, 2, 3, 4, tzinfo=UTC), NOON - timedelta(hours=2), NOON
    for hour in (february, ten, noon):
        ship(hour, [new_event(hour)])
    sync_prices(store, warehouse, [PriceSchedule("chat", None)], now=JANUARY)
    sync_prices(store, warehouse, [schedule("chat", (JANUARY, 1, 1, 1))], now=NOON)
    assert costs(store, warehouse, february, ten, noon) == [None, None, COST]


def test_a_price_that_would_fill_a_gap_bills_nothing_that_was_served_in_it(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, schedule
) -> None:
    hours = [datetime(2026, 2, 3, 4, tzinfo=UTC), HOUR, NOON]
    for hour in hours:
        ship(hour, [new_event(hour), new_event(hour, org="own")])
    own = (JANUARY, 3, 3, 3, "own")
    sync_prices(store, warehouse, [schedule("chat", own)], now=JANUARY)
    assert costs(store, warehouse, *hours) == [3 * COST] * 3
    sync_prices(store, warehouse, [schedule("chat", own, (JANUARY, 1, 1, 1))], now=NOON)
    assert costs(store, warehouse, *hours) == [3 * COST, 3 * COST, 4 * COST]


def test_a_change_that_dies_before_the_table_has_it_is_in_force_all_the_same(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(NOON, [new_event(NOON)])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("slipway.metering.price_table._replace", killed)
        with pytest.raises(KeyboardInterrupt):
            sync_prices(store, warehouse, [schedule("chat", (JANUARY, 1, 1, 1))], now=NOON)
    with warehouse.writing() as connection:
        assert read_prices(connection) == []
    assert costs(store, warehouse, NOON) == [COST]


def insert(connection: Any, *rows: PriceRow) -> None:
    """As the version before wrote prices, with no history."""
    for row in rows:
        values = {
            "deployment": row.deployment, "org": row.org, "effective_from": row.effective_from,
            "effective_to": row.effective_to, "version": row.version, "input": row.input_pico,
            "cached": row.cached_pico, "output": row.output_pico, "currency": row.currency,
            "bill_failed": row.bill_failed, "book": row.book, "assigned_from": row.assigned_from,
            "input_audio": None, "output_audio": None, "characters": None, "documents": None,
            "searches": None, "model": None, "tiers": None, "minimum": None,
        }  # fmt: skip
        connection.execute(sql("insert_price"), values)


def test_a_price_that_is_corrected_in_an_open_month_is_asked_for_in_just_the_hours_that_it_touches(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, schedule
) -> None:
    hours = [HOUR + timedelta(hours=n) for n in range(5)]
    for hour in hours:
        ship(hour, [new_event(hour, deployment="chat"), new_event(hour, deployment="law")])
    ship(hours[1], [new_event(hours[1], deployment="draft")])  # used in one hour, without a price
    change = hours[2] + timedelta(minutes=30)
    law = schedule("law", (JANUARY, 1, 1, 1))

    def take(*schedules: PriceSchedule, now: datetime = NOW) -> None:
        sync_prices(store, warehouse, [law, *schedules], now=now)
        publish(warehouse, store, ())

    def stale() -> dict[datetime, str]:
        found = survey(store, warehouse, now=hours[-1] + timedelta(hours=2), earliest=JANUARY).stale
        return {each.hour: each.reason for each in found}

    def rerate() -> list[Decimal | None]:
        found = costs(store, warehouse, *hours)
        publish(warehouse, store, hours)
        return found

    take(schedule("chat", (JANUARY, 1, 1, 1)), now=JANUARY)
    before = rerate()
    assert stale() == {}
    take(schedule("chat", (JANUARY, 1, 1, 1), (change, 2, 2, 2)))
    why = "the prices of chat are others than it was rated at"
    assert stale() == dict.fromkeys(hours[2:], why), "hours before the change cost what they did"
    after = rerate()
    assert stale() == {} and after[:3] == before[:3] and after[3] == before[3] + COST
    take(schedule("chat", (JANUARY, 1, 1, 1), (change, 3, 2, 2)))  # the same entry, another price
    assert stale() == dict.fromkeys(hours[2:], why)
    rerate()
    draft = schedule("draft", (JANUARY, 5, 5, 5))
    take(schedule("chat", (JANUARY, 1, 1, 1), (change, 3, 2, 2)), draft)
    assert stale() == {}, "what was used before it had a price stays free"

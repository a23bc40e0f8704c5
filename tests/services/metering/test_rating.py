"""What depends on the month, in whatever order hours come: tiers, free volumes, minimums, models' prices."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from slipway.catalog import Catalog
from slipway.metering.price_table import sync_prices
from slipway.metering.prices import PriceSchedule, schedules
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NOW = datetime(2026, 5, 20, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
ONE_HOUR = timedelta(hours=1)

Rows = Callable[[str], list[dict[str, Any]]]


def priced(*entries: dict[str, Any], **deployments: str) -> tuple[PriceSchedule, ...]:
    """Schedules of the deployment `chat` with these entries, on top of a plain price."""
    plain = {"effective_from": JANUARY, "input": "0", "cached_input": "0", "output": "1000000"}  # 1 a token
    catalog = {
        "deployments": [{"name": "chat", "model": "m", "runtime": "ray", "engine": "e", "price": "book"}],
        "price_books": [{"name": "book", "prices": [{**plain, **each} for each in entries]}],
    }
    return schedules(Catalog.model_validate(catalog))


TIERS = {"tiers": {"output": [{"above": 100, "price": "500000"}, {"above": 1000, "price": "100000"}]}}


def costs(rows: Rows) -> dict[tuple[Any, ...], tuple[int, Decimal]]:
    """Quantity and cost of cost_hourly by hours since HOUR, org, unit and tier."""
    found: dict[tuple[Any, ...], tuple[int, Decimal]] = {}
    for row in rows("cost_hourly"):
        key = ((row["hour"].astimezone(UTC) - HOUR) // ONE_HOUR, row["org"], row["unit"], row["tier"])
        quantity, cost = found.get(key, (0, Decimal(0)))
        found[key] = (quantity + row["quantity"], cost + row["cost"])
    return found


def output_costs(rows: Rows, org: str = "acme") -> dict[tuple[int, int], tuple[int, Decimal]]:
    return {
        (at, tier): value
        for (at, who, unit, tier), value in costs(rows).items()
        if (who, unit) == (org, "output")
    }


@pytest.fixture
def roll(store: ObjectStore, warehouse: Warehouse) -> Callable[..., list[str]]:
    """Rolls up hours since HOUR; returns what it said."""

    def run(*hours: int) -> list[str]:
        said: list[str] = []
        asked = [HOUR + n * ONE_HOUR for n in hours]
        roll_up(store, warehouse, asked, run_id="r", now=NOW, say=said.append)
        return said

    return run


def test_a_months_volume_crosses_tiers_hour_by_hour(
    store, warehouse, ship, new_event, rows: Rows, roll
) -> None:
    sync_prices(store, warehouse, priced(TIERS), now=JANUARY)
    for n, tokens in enumerate((60, 60, 2_000)):
        ship(HOUR + n * ONE_HOUR, [new_event(HOUR + n * ONE_HOUR, output_tokens=tokens)])
    assert roll(0, 1, 2) == []
    assert output_costs(rows) == {
        (0, 1): (60, Decimal(60)),
        (1, 1): (40, Decimal(40)),
        (1, 2): (20, Decimal(10)),
        (2, 2): (880, Decimal(440)),
        (2, 3): (1_120, Decimal(112)),
    }
    by_hour = [row["cost"] for row in rows("usage_hourly")]
    assert by_hour == [Decimal(60), Decimal(50), Decimal(552)]


def test_a_late_event_re_rates_the_later_hours_that_it_moves_and_says_which(
    store, warehouse, ship, new_event, rows: Rows, roll
) -> None:
    sync_prices(store, warehouse, priced(TIERS), now=JANUARY)
    for n in range(4):
        events = [new_event(HOUR + n * ONE_HOUR, output_tokens=40)]
        events += [new_event(HOUR + n * ONE_HOUR, org="globex", output_tokens=1)]
        ship(HOUR + n * ONE_HOUR, events)
    roll(0, 1, 2, 3)
    with warehouse.writing() as connection:
        connection.execute("DELETE FROM unpublished_day")
    ship(HOUR - 9 * ONE_HOUR, [new_event(HOUR - 9 * ONE_HOUR, output_tokens=30)])  # the first of the day
    said = roll(-9)
    # Before, 40, 40 and 20 were below 100; now 30, 40 and 30 are, and the last hour is above as it was.
    assert said == [
        "re-rated 2 later hours of org acme, deployment chat: 2026-03-10T10 to 2026-03-10T11, "
        "as the volume of the month before them changed"
    ]
    assert output_costs(rows)[(1, 1)] == (30, Decimal(30))
    assert output_costs(rows)[(1, 2)] == (10, Decimal(5))
    assert output_costs(rows, "globex") == {(n, 1): (1, Decimal(1)) for n in range(4)}
    marked = {(row["table_name"], row["day"]) for row in rows("unpublished_day")}
    assert ("usage_hourly", HOUR.date()) in marked


def test_volume_begins_anew_each_month_and_goes_on_over_versions(
    store, warehouse, ship, new_event, rows: Rows, roll
) -> None:
    change = HOUR + timedelta(minutes=30)
    dearer = {**TIERS, "effective_from": change, "output": "2000000"}
    sync_prices(store, warehouse, priced(TIERS, dearer), now=JANUARY)
    ship(HOUR, [new_event(HOUR, output_tokens=90), new_event(change, output_tokens=20)])
    april = datetime(2026, 4, 1, tzinfo=UTC)
    ship(april, [new_event(april, output_tokens=50)])
    until_april = (april - HOUR) // ONE_HOUR
    roll(0, until_april)
    assert output_costs(rows) == {
        (0, 1): (100, Decimal(90 + 10 * 2)),
        (0, 2): (10, Decimal(5)),
        (until_april, 1): (50, Decimal(100)),
    }


def test_what_is_free_in_a_month_is_a_tier_of_price_zero(
    store, warehouse, ship, new_event, rows: Rows, roll
) -> None:
    sync_prices(store, warehouse, priced({"free_per_month": {"output": 70}}), now=JANUARY)
    ship(HOUR, [new_event(output_tokens=50), new_event(output_tokens=50)])
    roll(0)
    assert output_costs(rows) == {(0, 1): (70, Decimal(0)), (0, 2): (30, Decimal(30))}


def test_a_minimum_tops_up_each_successful_request_at_the_entrys_own_prices(
    store, warehouse, ship, new_event, rows: Rows, roll
) -> None:
    terms = {"minimum_per_request": "10", "free_per_month": {"output": 1_000}}
    sync_prices(store, warehouse, priced(terms), now=JANUARY)
    events = [new_event(output_tokens=n) for n in (0, 4, 10, 11)]
    ship(HOUR, [*events, new_event(output_tokens=1, status="cancelled")])
    ship(HOUR, events)  # copies
    roll(0)
    assert costs(rows) == {
        (0, "acme", "input_uncached", 0): (320, Decimal(0)),
        (0, "acme", "input_cached", 0): (80, Decimal(0)),
        (0, "acme", "output", 1): (26, Decimal(0)),
        (0, "acme", "minimum", 0): (2, Decimal(10 + 6)),
    }
    assert sum(row["cost"] for row in rows("usage_hourly")) == 16


def test_an_org_goes_before_a_model_and_both_before_either(
    store, warehouse, ship, new_event, rows: Rows, roll
) -> None:
    """One price each: org and model, org, model, general."""
    entries = [
        {"output": "1000000"},
        {"output": "2000000", "model": "law"},
        {"output": "3000000", "org": "acme"},
        {"output": "4000000", "org": "acme", "model": "law"},
    ]
    sync_prices(store, warehouse, priced(*entries), now=JANUARY)
    asked = [("globex", "chat"), ("globex", "law"), ("acme", "chat"), ("acme", "law")]
    ship(HOUR, [new_event(org=org, model=model, output_tokens=1) for org, model in asked])
    roll(0)
    found = {(row["org"], row["model"]): (row["cost"], row["price_version"]) for row in rows("usage_hourly")}
    since = "2026-01-01T00:00:00Z"
    assert found == {
        ("globex", "chat"): (1, f"book@{since}"),
        ("globex", "law"): (2, f"book[law]@{since}"),
        ("acme", "chat"): (3, f"book/acme@{since}"),
        ("acme", "law"): (4, f"book/acme[law]@{since}"),
    }


def test_a_models_own_price_counts_a_volume_of_its_own(
    store, warehouse, ship, new_event, rows: Rows, roll
) -> None:
    sync_prices(store, warehouse, priced(TIERS, {**TIERS, "model": "law"}), now=JANUARY)
    ship(HOUR, [new_event(model=name, output_tokens=90) for name in ("chat", "other", "law")])
    roll(0)
    found = {
        (row["model"], row["tier"]): row["quantity"] for row in rows("cost_hourly") if row["unit"] == "output"
    }
    assert found == {("chat", 1): 90, ("other", 1): 10, ("other", 2): 80, ("law", 1): 90}


@pytest.mark.parametrize("seed", range(3))
def test_whatever_order_hours_and_events_come_in_the_rows_are_those_of_one_rollup_at_the_end(
    store, warehouse, ship, new_event, rows: Rows, roll, seed: int
) -> None:
    chance = random.Random(seed)
    terms = {**TIERS, "free_per_month": {"output": 30}, "minimum_per_request": "7"}
    change = HOUR + timedelta(minutes=100)
    sync_prices(store, warehouse, priced(terms, {**TIERS, "effective_from": change}), now=JANUARY)
    for _ in range(8):
        n = chance.randrange(5)
        at = HOUR + n * ONE_HOUR + timedelta(minutes=chance.randrange(60))
        ship(
            HOUR + n * ONE_HOUR,
            [new_event(at, output_tokens=chance.randrange(200), user=chance.choice("ab")) for _ in range(3)],
        )
        roll(*chance.sample(range(5), 2), n)
    roll(*range(5))
    state = {table: rows(table) for table in ("usage_hourly", "cost_hourly")}
    with warehouse.writing() as connection:
        for table in ("usage_hourly", "cost_rated", "rollup_run"):
            connection.execute(f"DELETE FROM {table}")
    roll(*range(5))
    assert state == {table: rows(table) for table in state}
    assert {row["tier"] for row in state["cost_hourly"]} >= {0, 1, 2, 3}


def test_the_costs_by_unit_of_a_row_sum_to_its_cost_whatever_its_price(
    store, warehouse, ship, new_event, rows: Rows, roll
) -> None:
    entry = {
        **TIERS, "input": "0.123457", "cached_input": "0.000001", "searches_per_thousand": "0.5",
        "minimum_per_request": "0.333333333333",
    }  # fmt: skip
    sync_prices(store, warehouse, priced(entry), now=JANUARY)
    ship(HOUR, [new_event(user=f"u{n % 3}", output_tokens=n, searches=n, documents=5) for n in range(40)])
    roll(0)
    summed: dict[str, Decimal] = {}
    for row in rows("cost_hourly"):
        summed[row["user"]] = summed.get(row["user"], Decimal(0)) + row["cost"]
        if row["unit"] != "minimum":
            assert row["cost"] == Decimal(row["quantity"] * row["price_pico"]).scaleb(-12)
    assert {row["user"]: row["cost"] for row in rows("usage_hourly")} == summed
    assert "documents" not in {row["unit"] for row in rows("cost_hourly")}  # they have no price

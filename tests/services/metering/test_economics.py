"""What deployments earned beside what their GPUs cost, by the hour: exact, and nothing made up."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from slipway.catalog.documents import Settings
from slipway.metering import gpu_costs, replicas
from slipway.metering.asking import Question, ask
from slipway.metering.periods import Period
from slipway.metering.publish import publish_copy
from slipway.metering.published import PublishedCopy
from slipway.metering.reports.contents import economics
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.gpu_prices import GpuPricesError, key_of
from slipway.records.replica_samples import INTERVAL_S, Instant, Sample

from .conftest import HOUR, JANUARY, NOW

H100 = {"class": "h100", "effective_from": JANUARY, "per_hour": "3", "currency": "USD"}
TWO_HOURS = Period(HOUR, HOUR + timedelta(hours=2))


def settings(*prices: dict[str, Any]) -> Settings:
    return Settings.model_validate({"name": "settings", "gpu_prices": list(prices)})


def ran(store: ObjectStore, hour: datetime, minutes: int, *rows: Sample) -> None:
    """What is sampled from the hour's beginning on."""
    for number in range(minutes * 60 // INTERVAL_S):
        instant = Instant(hour + timedelta(seconds=number * INTERVAL_S), INTERVAL_S, rows)
        store.put(instant.key, instant.encode())


@pytest.fixture
def rolled(store: ObjectStore, warehouse: Warehouse, ship, new_event, schedule) -> PublishedCopy:
    """Two hours: `chat` is asked in the first and idle in the second, `tone` has GPUs without a price."""
    from slipway.metering.price_table import sync_prices

    sync_prices(store, warehouse, [schedule("chat", (JANUARY, 0, 0, 2_000_000))], now=JANUARY)
    ship(HOUR, [new_event(output_tokens=1_000_000) for _ in range(2)])
    hours = [HOUR, HOUR + timedelta(hours=1)]
    chat, tone = Sample("chat", "a" * 64, 1, 0.5, "h100"), Sample("tone", "b" * 64, 1, 2, "t4")
    for hour in hours:
        ran(store, hour, 60, chat)
    ran(store, HOUR, 30, chat, tone)
    roll_up(store, warehouse, hours, run_id="r", now=NOW)
    replicas.roll_up(store, warehouse, hours)
    gpu_costs.take(store, warehouse, settings(H100).gpu_prices, NOW)
    publish_copy(warehouse)
    return PublishedCopy(warehouse.directory)


def told(copy: PublishedCopy, **given: Any) -> list[dict[str, Any]]:
    answer = ask(copy, "economics", Question(TWO_HOURS, per=("deployment",), **given))
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def test_the_margin_is_what_was_earned_less_all_gpus_that_ran(rolled: PublishedCopy) -> None:
    first, second = [row for row in told(rolled, by="hour") if row["deployment"] == "chat"]
    assert (first["earned"], first["gpu_cost"], first["margin"]) == (
        "4.000000000000", "1.500000000000", "2.500000000000"
    )  # fmt: skip
    assert (second["earned"], second["margin"]) == (None, "-1.500000000000")
    assert (first["utilisation"], second["utilisation"]) == (1.0, 0.0)
    (whole,) = [row for row in told(rolled) if row["deployment"] == "chat"]
    assert (whole["gpu_hours"], whole["idle_gpu_hours"], whole["utilisation"]) == (1.0, 0.5, 0.5)
    assert whole["margin"] == "1.000000000000"
    # 3.00 for two million tokens of output and two hundred of input.
    assert whole["cost_per_1m_tokens"] == format(round(Decimal(3 * 10**6) / 2_000_200, 6), "f")


def test_gpus_without_a_price_have_no_margin_and_say_so(rolled: PublishedCopy) -> None:
    (tone,) = [row for row in told(rolled) if row["deployment"] == "tone"]
    assert (tone["currency"], tone["margin"], tone["unpriced_gpu_hours"]) == (None, None, 1.0)


def test_a_price_begins_with_the_hour_and_its_history_is_kept(
    rolled: PublishedCopy, store: ObjectStore, warehouse: Warehouse
) -> None:
    later = {**H100, "effective_from": HOUR + timedelta(minutes=30), "per_hour": "0.000000000001"}
    assert gpu_costs.take(store, warehouse, settings(H100, later).gpu_prices, NOW)
    assert not gpu_costs.take(store, warehouse, settings(later, H100).gpu_prices, NOW)
    publish_copy(warehouse)
    costs = [row["gpu_cost"] for row in told(rolled, by="hour") if row["deployment"] == "chat"]
    assert costs == ["1.500000000000", "0.000000000001"]  # half a pico-unit is rounded up
    assert [stored.key for stored in store.list("gpu-prices/")] == [key_of(1), key_of(2)]
    with warehouse.writing() as connection:
        connection.execute("DELETE FROM gpu_price")
        assert gpu_costs.bring(store, connection)
        assert connection.execute("SELECT count(*) FROM gpu_price").fetchone() == (2,)
    store.put(key_of(2), b"{")
    with pytest.raises(GpuPricesError, match=r"gpu-prices/000000000002\.json in bucket .*remove it"):
        gpu_costs.take(store, warehouse, settings(H100).gpu_prices, NOW)


def test_plots_have_every_currency_in_every_hour(rolled: PublishedCopy) -> None:
    empty = HOUR + timedelta(hours=9)
    found = {
        (each.hour.astimezone(UTC), each.currency): each.margin
        for each in gpu_costs.by_hour(rolled, [HOUR, empty])
    }
    assert found == {(HOUR, "USD"): Decimal("2.5"), (empty, "USD"): Decimal(0)}


def test_the_report_shows_cost_and_margin(rolled: PublishedCopy) -> None:
    part = economics(rolled, Question(TWO_HOURS))
    place = {name: number for number, name in enumerate(part["columns"])}
    margins = [row[place["margin"]] for row in part["rows"]]
    assert sorted(filter(None, margins)) == ["-1.500000000000", "2.500000000000"]
    assert {plot["title"] for plot in part["plots"]} >= {"Earned", "Cost of GPUs", "Margin"}


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ([H100, H100], "two prices of h100 from"),
        ([{**H100, "per_hour": "-1"}], "negative"),
        ([{**H100, "currency": "XXQ"}], "currency"),
    ],
)
def test_prices_that_contradict_are_refused(prices: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(*prices)

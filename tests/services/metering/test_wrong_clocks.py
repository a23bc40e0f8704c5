"""A gateway whose clock is hours wrong: its events are billed once, in the hour of their ids."""

from datetime import timedelta

import pytest

from slipway.metering.price_table import sync_prices
from slipway.metering.rollup import roll_up

from .conftest import HOUR, JANUARY

TWO_HOURS = timedelta(hours=2)


@pytest.mark.parametrize("wrong_by", [TWO_HOURS, -TWO_HOURS])
def test_events_of_a_clock_that_is_two_hours_wrong_are_billed_once_in_the_hour_of_their_ids(
    store, warehouse, ship, new_event, rows, schedule, wrong_by: timedelta
) -> None:
    sync_prices(store, warehouse, [schedule("chat", (JANUARY, 1, 1, 1))], now=JANUARY)
    said, now = HOUR + wrong_by, HOUR + timedelta(minutes=30)
    right, wrong = [new_event(HOUR) for _ in range(3)], [new_event(said, user="wrong") for _ in range(2)]
    ship(HOUR, right)
    ship(said, [*wrong, wrong[0]])
    for at in (now, now + timedelta(hours=3), now + timedelta(hours=9)):  # before it is that hour, and after
        done = roll_up(store, warehouse, [HOUR, said], run_id="r", now=at)
        assert {hour.hour: hour.final for hour in done} == {
            hour: at >= hour + timedelta(hours=1) for hour in (HOUR, said)
        }
    billed = {(row["hour"], row["user"]): row["requests"] for row in rows("usage_hourly")}
    assert billed == {(HOUR, "ann"): 3, (said, "wrong"): 2}


def test_an_event_in_an_object_of_another_hour_than_its_id_is_set_aside_and_holds_up_no_other(
    store, warehouse, ship, new_event, rows, schedule
) -> None:
    sync_prices(store, warehouse, [schedule("chat", (JANUARY, 1, 1, 1))], now=JANUARY)
    ship(HOUR, [new_event(HOUR), new_event(HOUR + TWO_HOURS)])
    roll_up(store, warehouse, [HOUR, HOUR + TWO_HOURS], run_id="r", now=HOUR + timedelta(days=1))
    assert [(row["hour"], row["requests"]) for row in rows("usage_hourly")] == [(HOUR, 1)]
    [aside] = rows("quarantine")
    assert "another hour than its object's" in aside["reason"]

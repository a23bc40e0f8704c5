"""Hours by what gateways said of themselves: incomplete is not empty, and what was recorded has to arrive."""

from datetime import datetime, timedelta

from slipway.metering.checks import CheckResult, evaluate
from slipway.metering.publish import publish_copy
from slipway.metering.published import PublishedCopy
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.heartbeats import Heartbeat

from .conftest import HOUR, JANUARY, NOW

HOURS = [HOUR + timedelta(hours=n) for n in range(4)]


def beat(
    store: ObjectStore, hour: datetime, recorded: int = 0, replica: str = "gateway-1", start: str = "a"
) -> None:
    told = Heartbeat(hour, replica, start, recorded, hour, hour + timedelta(minutes=59))
    store.put(told.key, told.encode())


def checks(store: ObjectStore, warehouse: Warehouse, schedule) -> dict[str, CheckResult]:
    from slipway.metering.price_table import sync_prices

    sync_prices(store, warehouse, [schedule("chat", (JANUARY, 1, 1, 1))], now=JANUARY)
    roll_up(store, warehouse, HOURS, run_id="r", now=NOW)
    publish_copy(warehouse)
    return {check.name: check for check in evaluate(PublishedCopy(warehouse.directory), HOURS)}


def test_an_hour_of_which_nobody_told_is_incomplete_and_one_of_which_somebody_did_is_empty(
    store: ObjectStore, warehouse: Warehouse, schedule
) -> None:
    for hour in (HOURS[0], HOURS[1], HOURS[3]):
        beat(store, hour)
    found = checks(store, warehouse, schedule)["continuity"]
    assert (found.passed, found.severity) == (False, "warn")
    assert [(row["hour"], row["replica"]) for row in found.evidence["rows"]] == [(str(HOURS[2]), None)]


def test_one_gateway_of_two_that_was_silent_is_named(
    store: ObjectStore, warehouse: Warehouse, schedule
) -> None:
    for hour in HOURS:
        beat(store, hour)
        if hour != HOURS[1]:
            beat(store, hour, replica="gateway-2", start="b")
    found = checks(store, warehouse, schedule)["continuity"]
    assert [(row["hour"], row["replica"]) for row in found.evidence["rows"]] == [(str(HOURS[1]), "gateway-2")]


def test_before_gateways_told_of_themselves_nothing_is_missed(
    store: ObjectStore, warehouse: Warehouse, schedule
) -> None:
    beat(store, HOURS[3])
    found = checks(store, warehouse, schedule)
    assert found["continuity"].passed and found["gateway_counters"].passed


def test_a_replica_that_starts_anew_has_no_gap(store: ObjectStore, warehouse: Warehouse, schedule) -> None:
    beat(store, HOURS[0], start="a")
    beat(store, HOURS[1], start="b")
    beat(store, HOURS[2], start="b")
    beat(store, HOURS[3], start="b")
    assert checks(store, warehouse, schedule)["continuity"].passed


def test_events_that_were_recorded_and_are_not_there_fail_the_check_until_they_come(
    store: ObjectStore, warehouse: Warehouse, schedule, ship, new_event
) -> None:
    for hour in HOURS:
        beat(store, hour)
    beat(store, HOUR, 3)
    events = [new_event(), new_event(), new_event()]
    ship(HOUR, [events[0], events[1], events[1]])
    lost = checks(store, warehouse, schedule)["gateway_counters"]
    assert (lost.passed, lost.severity) == (False, "error")
    [row] = lost.evidence["hours_that_lack_events"]
    assert (row["recorded"], row["metered"]) == (3, 2)
    ship(HOUR, [events[2]])
    assert checks(store, warehouse, schedule)["gateway_counters"].passed


def test_more_than_was_counted_is_a_gateway_that_was_killed_and_a_bad_object_is_none(
    store: ObjectStore, warehouse: Warehouse, schedule, ship, new_event
) -> None:
    beat(store, HOUR, 1)
    store.put(Heartbeat(HOUR, "gateway-2", "x", 9, HOUR, HOUR).key, b"{")
    ship(HOUR, [new_event(), new_event()])
    assert checks(store, warehouse, schedule)["gateway_counters"].passed

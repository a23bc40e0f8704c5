"""Months closed: what holds one up, invoices, what comes late, and the same end whatever is killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from slipway.billing import tables
from slipway.billing.readiness import NotReadyError
from slipway.commands.main import cli
from slipway.control import billing
from slipway.control.connections import Connections
from slipway.control.rebuilding import rebuild
from slipway.environment import Environment
from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish
from slipway.metering.rollup import roll_up
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.records.adjustments import Adjustments
from slipway.records.closed_months import ClosedMonths, KeptBillingError, record_key
from slipway.records.invoices import Invoice, Invoices
from slipway.records.usage import UsageEvent
from testbed import stores

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
LAST = datetime(2026, 3, 31, 20, tzinfo=UTC)  # the first usage of all; March has four hours of it
MARCH = [LAST + timedelta(hours=n) for n in range(4)]
APRIL = [datetime(2026, 4, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(30 * 24)]
IN_APRIL = datetime(2026, 4, 1, 2, tzinfo=UTC)
IN_MAY = datetime(2026, 5, 1, 2, tzinfo=UTC)
PRICES = {"input": 3, "cached": 1, "output": 7_000_000}
KILLS = int(os.environ.get("SLIPWAY_TEST_CLOSE_KILLS", "5"))


def quiet(_: str) -> None: ...


@dataclass
class World:
    """Usage of March by two organisations, rolled up, at a price of pico-units."""

    at: Connections

    def roll_up(self, hours: list[datetime], now: datetime, run_id: str = "run") -> None:
        """As accounting does it, at an instant of the test's own."""
        roll_up(self.at.store, self.at.warehouse, hours, run_id=run_id, now=now)
        billing.adjust(self.at, hours, run_id, now, quiet)
        publish(self.at.warehouse, self.at.store, hours)

    def close(self, month: str = "2026-03", now: datetime = IN_APRIL) -> billing.Closed:
        return billing.close(self.at, month, "close", now, quiet)

    def tables(self) -> dict[str, list[Any]]:
        with self.at.metered.reading() as copy:
            return {name: copy.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in tables.TABLES}

    def elsewhere(self, directory: Path) -> "World":
        """The same bucket, another warehouse."""
        variables = {**stores.variables(self.at.store.location)}
        return World(Connections(Environment(variables, directory)))


def cost(*events: UsageEvent) -> Decimal:
    """What a perfect observer bills, exactly."""
    pico = sum(
        (e.input_tokens - e.cached_tokens) * PRICES["input"] + e.cached_tokens * PRICES["cached"]
        + e.output_tokens * PRICES["output"]
        for e in events
    )  # fmt: skip
    return Decimal(pico).scaleb(-12)


def exact(*invoices: Invoice) -> Decimal:
    return sum((line.cost for invoice in invoices for line in invoice.lines), Decimal(0))


@pytest.fixture
def world(store: ObjectStore, tmp_path: Path, ship, new_event, schedule) -> World:
    at = Connections(Environment({**stores.variables(store.location)}, tmp_path / "home"))
    sync_prices(store, at.warehouse, [schedule("chat", (JANUARY, *PRICES.values()))], now=JANUARY)
    for hour in MARCH:
        ship(
            hour, [new_event(hour + timedelta(seconds=n), org=org) for n in range(9) for org in ("acme", "b")]
        )
    made = World(at)
    made.roll_up(MARCH, IN_APRIL)
    return made


def test_a_closed_month_bills_every_request_once(world: World) -> None:
    closed = world.close()
    assert closed.anew and [each.id for each in closed.invoices] == ["2026-03-acme-USD", "2026-03-b-USD"]
    for invoice in closed.invoices:
        # 36 requests of 80 uncached, 20 cached and 11 output tokens.
        assert exact(invoice) == Decimal(36 * (80 * 3 + 20 * 1 + 11 * 7_000_000)).scaleb(-12)
        assert invoice.total_minor == sum(line.amount_minor for line in invoice.lines)
        assert {line.unit: line.quantity for line in invoice.lines} == {
            "input_uncached": 36 * 80, "input_cached": 36 * 20, "output": 36 * 11
        }  # fmt: skip
    assert not world.close().anew
    assert world.close(now=IN_MAY).record.closed_at == IN_APRIL


def test_what_holds_a_month_up_is_said_hour_by_hour(world: World, ship, new_event) -> None:
    with pytest.raises(
        NotReadyError, match="2026-03 is not over; it can be closed from 2026-04-01T00:10Z on"
    ):
        world.close(now=datetime(2026, 4, 1, 0, 5, tzinfo=UTC))
    with pytest.raises(NotReadyError, match="2027-01 is in the future"):
        world.close("2027-01")
    ship(MARCH[1], [new_event(MARCH[1])])
    world.at.store.delete(next(world.at.store.list(f"usage/hour={MARCH[2]:%Y-%m-%dT%H}/")).key)
    with pytest.raises(NotReadyError) as held:
        world.close()
    assert "hour 2026-03-31T21: 2 objects, rolled up from 1 others" in str(held.value)
    assert "hour 2026-03-31T22: has 0 usage objects and was rolled up from 1" in str(held.value)
    assert "2026-03-31T23" not in str(held.value)
    with pytest.raises(NotReadyError, match="2026-03 is open and has usage: close it first"):
        world.close("2026-04", IN_MAY)
    assert ClosedMonths(world.at.store).all() == []


def test_a_check_that_fails_holds_the_month_up(world: World, ship, new_event) -> None:
    event = new_event(MARCH[0])
    ship(MARCH[0], [event, new_event(MARCH[0], request_id=event.request_id, output_tokens=99)])
    world.roll_up([MARCH[0]], IN_APRIL)
    with pytest.raises(NotReadyError, match="check conflicts fails"):
        world.close()


@pytest.mark.parametrize("month", ["2026-13", "2026-3", "march", "2026-00", "2026-03-01"])
def test_what_is_no_month_is_refused(world: World, month: str) -> None:
    with pytest.raises(ValueError, match=r"not a month\. Write year and month, such as 2026-10"):
        world.close(month)


def test_what_comes_after_the_close_is_on_the_next_invoice_and_nothing_of_the_old_one_changes(
    world: World, ship, new_event
) -> None:
    before = world.close().invoices
    late = [new_event(MARCH[1] + timedelta(minutes=n), output_tokens=3) for n in range(5)]
    new_org = [new_event(MARCH[3], org="late-comer")]
    ship(MARCH[1], late)
    ship(MARCH[3], new_org)
    for _ in range(3):  # rolled up again and again: adjusted once
        world.roll_up([MARCH[1], MARCH[3]], IN_APRIL, run_id="late-run")
    world.roll_up(APRIL, IN_MAY)
    assert Invoices(world.at.store).of("2026-03") == list(before)
    april = world.close("2026-04", IN_MAY).invoices
    assert [each.org for each in april] == ["acme", "late-comer"]
    assert exact(*april) == cost(*late, *new_org)
    lines = [line for invoice in april for line in invoice.lines]
    assert {line.hour for line in lines if line.kind == "adjustment"} == {MARCH[1], MARCH[3]}
    assert {(line.reason, line.run_id, line.month) for line in lines} == {
        ("usage that came after the month was closed", "late-run", "2026-03")
    }


def test_any_order_twice_late_and_after_the_close_is_what_a_perfect_observer_bills(
    world: World, ship, new_event
) -> None:
    chance = random.Random(11)
    events = [
        new_event(hour + timedelta(seconds=chance.randrange(3600)), output_tokens=chance.randrange(1, 9_999))
        for hour in MARCH
        for _ in range(40)
    ]
    chance.shuffle(events)
    parts = [events[start::4] for start in range(4)]

    def arrive(some: list[UsageEvent]) -> None:
        for hour in MARCH:
            of_hour = [e for e in some if e.ts[:13] == f"{hour:%Y-%m-%dT%H}"]
            ship(hour, of_hour + of_hour[:3])
        world.roll_up(MARCH, IN_APRIL)

    there_before = 36 * [new_event(MARCH[0])]
    arrive(parts[0])
    arrive(parts[1] + parts[0])
    march = [each for each in world.close().invoices if each.org == "acme"]
    arrive(parts[2])
    arrive(parts[3] + parts[1])
    world.roll_up(APRIL, IN_MAY)
    april = world.close("2026-04", IN_MAY).invoices
    perfect = cost(*events, *there_before)
    assert exact(*march, *april) == perfect
    # And to the cent, as if all had been known at closing.
    by_unit: dict[str, Decimal] = {}
    for line in [line for invoice in (*march, *april) for line in invoice.lines]:
        by_unit[line.unit] = by_unit.get(line.unit, Decimal(0)) + line.cost
    cents = sum(round(total * 100) for total in by_unit.values())
    assert sum(each.total_minor for each in (*march, *april)) == cents


def test_lost_usage_credits_nobody(world: World) -> None:
    world.close()
    world.at.store.delete(next(world.at.store.list(f"usage/hour={MARCH[2]:%Y-%m-%dT%H}/")).key)
    world.roll_up([MARCH[2]], IN_APRIL)
    assert Adjustments(world.at.store).last_number() == 0


def test_a_lost_warehouse_has_every_invoice_again(world: World, ship, new_event) -> None:
    world.close()
    ship(MARCH[1], [new_event(MARCH[1])])
    world.roll_up([MARCH[1]], IN_APRIL)
    world.roll_up(APRIL, IN_MAY)
    world.close("2026-04", IN_MAY)
    before = world.tables()
    assert all(before.values())
    shutil.rmtree(world.at.warehouse.directory)
    # An hour that is rolled up before the rebuild must not take the others for usage that is gone.
    world.roll_up([MARCH[0]], IN_APRIL)
    rebuild(world.at, quiet)
    assert world.tables() == before
    assert Adjustments(world.at.store).last_number() == 1


def test_a_record_that_is_damaged_stops_bills_with_its_name(world: World) -> None:
    world.close()
    world.at.store.put(record_key("2026-03"), b"torn")
    with pytest.raises(KeptBillingError, match=r"billing/months/2026-03\.json\.gz cannot be read"):
        world.close()


CHILD = """
import sys
from datetime import datetime
from pathlib import Path
from slipway.control import billing
from slipway.control.connections import Connections
from slipway.environment import Environment
import json
variables, home, now = json.loads(sys.argv[1])
at = Connections(Environment(variables, Path(home)))
import duckdb, botocore.session
print("ready", flush=True)
billing.close(at, "2026-03", "close", datetime.fromisoformat(now), lambda line: None)
print("done", flush=True)
"""


def closing(world: World) -> "subprocess.Popen[str]":
    variables, home = dict(world.at.environment.variables), str(world.at.environment.home)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps([variables, home, IN_APRIL.isoformat()])],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def kept(store: ObjectStore) -> dict[str, bytes | None]:
    return {item.key: store.get(item.key) for item in store.list("billing/")}


@pytest.mark.timeout(240 + 10 * KILLS)
def test_a_close_killed_at_any_moment_ends_as_an_undisturbed_one(world: World) -> None:
    started = time.monotonic()
    undisturbed = closing(world)
    assert undisturbed.wait() == 0
    whole_s = time.monotonic() - started
    objects, rows = kept(world.at.store), world.tables()
    chance = random.Random(3)
    for _ in range(KILLS):
        for key in objects:
            world.at.store.delete(key)
        with world.at.warehouse.writing() as connection:
            tables.forget(connection)
        process = closing(world)
        time.sleep(chance.uniform(0, whole_s))
        process.send_signal(signal.SIGKILL)
        process.wait()
        world.close()
        assert kept(world.at.store) == objects
        assert world.tables() == rows


def test_two_closes_at_once_close_once(world: World) -> None:
    other = world.elsewhere(world.at.environment.home.parent / "other")
    other.roll_up(MARCH, IN_APRIL)
    closed: list[billing.Closed] = []

    def close(at: Connections, run_id: str) -> None:
        closed.append(billing.close(at, "2026-03", run_id, IN_APRIL, quiet))

    threads = [threading.Thread(target=close, args=(w.at, n)) for w, n in ((world, "a"), (other, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.anew for each in closed].count(True) == 1
    assert closed[0].record == closed[1].record
    assert closed[0].invoices == closed[1].invoices


@pytest.mark.parametrize("call", range(0, 12, 2))
def test_a_store_that_goes_away_in_the_middle_leaves_a_close_that_can_be_completed(
    world: World, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    calls, create, listing = iter(range(10**6)), ObjectStore.create, ObjectStore.list

    def away(method: Any) -> Any:
        def called(*given: Any, **options: Any) -> Any:
            if next(calls) >= call:
                raise ObjectStoreError("S3 did not answer")
            return method(*given, **options)

        return called

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "create", away(create))
        patch.setattr(ObjectStore, "list", away(listing))
        with pytest.raises(ObjectStoreError):
            world.close()
    closed = world.close()
    assert len(closed.invoices) == 2 and len(world.tables()["invoice"]) == 2


def test_an_org_is_billed_in_each_currency_of_the_month(world: World, ship, new_event, schedule) -> None:
    at = world.at
    dollars = schedule("yen-chat", (JANUARY, 5, 5, 5))
    yen = replace(dollars, rows=tuple(replace(row, currency="JPY") for row in dollars.rows))
    both = [schedule("chat", (JANUARY, *PRICES.values())), yen]
    sync_prices(at.store, at.warehouse, both, now=MARCH[0])
    ship(MARCH[3], [new_event(MARCH[3], deployment="yen-chat")])
    world.roll_up(MARCH, IN_APRIL)
    of_acme = [each for each in world.close().invoices if each.org == "acme"]
    assert [(each.currency, each.minor_digits) for each in of_acme] == [("JPY", 0), ("USD", 2)]


def test_the_command_line_closes_shows_and_prints(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    home = world.at.environment.home
    for name, value in world.at.environment.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLIPWAY_HOME", str(home))

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, arguments)

    refused = run("invoice", "acme", "2026-03")
    assert "2026-03 is not closed" in str(refused.exception)
    draft = run("invoice", "acme", "2026-03", "--draft")
    assert "DRAFT" in draft.output
    assert "2026-03: closed" in run("month", "close", "2026-03").output
    assert "was closed at" in run("month", "close", "2026-03").output
    assert "2026-03  closed" in run("month", "list").output
    assert "2026-03-acme-USD" in run("month", "show", "2026-03").output
    assert "<title>2026-03-acme-USD" in run("invoice", "acme", "2026-03", "-o", "html").output
    assert "no organisation of that name" in str(run("invoice", "nobody", "2026-03").exception)
    assert "in the future" in str(run("invoice", "acme", "2999-01").exception)


def test_materializing_an_invoice_closes_the_month_and_says_what_it_came_to(world: World) -> None:
    import dagster as dg

    from assets import groups, keys
    from resources.all import resources
    from slipway.catalog import Catalog

    variables = {**world.at.environment.variables, "SLIPWAY_HOME": str(world.at.environment.home)}
    made = groups.build([groups.named("month_close")], Catalog())

    def materialize(month: str) -> dg.ExecuteInProcessResult:
        given = {"billing": resources(variables)["billing"]}
        return dg.materialize(made, partition_key=month, resources=given, raise_on_error=False)

    done = materialize("2026-03")
    assert done.success
    (event,) = done.asset_materializations_for_node(keys.INVOICES.to_python_identifier())
    invoices = Invoices(world.at.store).of("2026-03")
    assert event.partition == "2026-03"
    assert event.metadata["total_minor_USD"].value == sum(each.total_minor for each in invoices)
    failed = materialize("2026-05")
    assert not failed.success  # 2026-04 is open
    assert "2026-04 is open: close it first" in str(failed.all_events)

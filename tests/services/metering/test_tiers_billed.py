"""Tiers, free volumes and minimums, from events to invoices, as an observer who knows all counts them.

The observer is plain Python and written from the definitions (docs/metering.md, "What depends on the month").
SLIPWAY_TEST_WORLDS=200 makes so many more of them.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from slipway.catalog import Catalog
from slipway.control import billing
from slipway.control.connections import Connections
from slipway.metering.checks import evaluate
from slipway.metering.price_table import sync_prices
from slipway.metering.prices import schedules
from slipway.metering.publish import publish
from slipway.metering.shards.rolling import roll_up_all
from slipway.records.usage import UsageEvent

from .conftest import shipper
from .worlds import each_world, new_world

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
LAST = datetime(2026, 3, 31, 20, tzinfo=UTC)  # the first usage of all; March has four hours of it
MARCH = [LAST + timedelta(hours=n) for n in range(4)]
APRIL = [datetime(2026, 4, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(30 * 24)]
IN_APRIL = datetime(2026, 4, 1, 2, tzinfo=UTC)
IN_MAY = datetime(2026, 5, 1, 2, tzinfo=UTC)
PER_MILLION = Decimal(10**6)


@dataclass(frozen=True)
class Terms:
    """An entry of the book: prices per token, steps (above, price per token) and the least of a request."""

    since: datetime
    org: str | None
    price: dict[str, Decimal]
    steps: dict[str, list[tuple[int, Decimal]]] = field(default_factory=dict)
    free: dict[str, int] = field(default_factory=dict)
    least: Decimal | None = None

    def written(self) -> dict[str, Any]:
        """As the catalog has it."""
        return {
            "effective_from": self.since, "org": self.org,
            **{name: str(price * PER_MILLION) for name, price in self.price.items()},
            "tiers": {
                name: [{"above": above, "price": str(price * PER_MILLION)} for above, price in steps]
                for name, steps in self.steps.items()
            },
            "free_per_month": self.free,
            "minimum_per_request": None if self.least is None else str(self.least),
        }  # fmt: skip

    def ladder(self, unit: str) -> list[tuple[int, Decimal]]:
        """Where each price of the unit begins, what is free first."""
        free = self.free.get(unit, 0)
        begun = [(0, Decimal(0)), (free, self.price[unit])] if free else [(0, self.price[unit])]
        return begun + self.steps.get(unit, [])


def units(event: UsageEvent) -> dict[str, int]:
    return {
        "input": event.input_tokens - event.cached_tokens,
        "cached_input": event.cached_tokens,
        "output": event.output_tokens,
    }


def in_force(book: Sequence[Terms], org: str, at: datetime) -> Terms:
    begun = [terms for terms in book if terms.since <= at]
    own = [terms for terms in begun if terms.org == org] or [terms for terms in begun if terms.org is None]
    return max(own, key=lambda terms: terms.since)


def owed(book: Sequence[Terms], events: Sequence[UsageEvent]) -> dict[str, Decimal]:
    """What each org owes for a month: its use placed in order, each token at the price of where it stands."""
    total: dict[str, Decimal] = {}
    placed: dict[tuple[str, str], int] = {}

    def place(event: UsageEvent) -> tuple[Any, ...]:
        at = datetime.fromisoformat(event.ts)
        terms = in_force(book, event.org, at)
        return (at.replace(minute=0, second=0, microsecond=0), terms.since, event.user, event.api_key)

    for event in sorted(events, key=place):
        terms = in_force(book, event.org, datetime.fromisoformat(event.ts))
        cost = Decimal(0)
        for unit, quantity in units(event).items():
            start = placed.get((event.org, unit), 0)
            end = placed[(event.org, unit)] = start + quantity
            ladder = terms.ladder(unit)
            ends = [above for above, _ in ladder[1:]] + [end]
            for (above, price), until in zip(ladder, ends, strict=True):
                cost += max(0, min(end, until) - max(start, above)) * price
        if terms.least is not None:
            plain = sum(quantity * terms.price[unit] for unit, quantity in units(event).items())
            cost += max(Decimal(0), terms.least - plain)
        total[event.org] = total.get(event.org, Decimal(0)) + cost
    return total


def a_book(chance: random.Random) -> list[Terms]:
    """Entries for all, of which one begins within an hour, and one of an org of its own."""

    def terms(since: datetime, org: str | None) -> Terms:
        price = {name: Decimal(chance.randrange(1, 10**6)).scaleb(-12) for name in ("input", "cached_input")}
        price["output"] = Decimal(chance.randrange(1, 10**7)).scaleb(-12)
        free = {"output": chance.randrange(1, 5000)} if chance.random() < 0.6 else {}
        first = free.get("output", 0) + chance.randrange(1, 20_000)
        steps = [(first, price["output"] / 2), (first + chance.randrange(1, 50_000), Decimal(0))]
        steps = [(above, round(each, 12)) for above, each in steps]
        more = {"input": [(chance.randrange(1, 9000), price["input"] * 2)]} if chance.random() < 0.5 else {}
        least = Decimal(chance.randrange(1, 10**11)).scaleb(-12) if chance.random() < 0.5 else None
        return Terms(since, org, price, {"output": steps, **more}, free, least)

    inside = MARCH[1] + timedelta(minutes=chance.randrange(1, 59))
    return [terms(JANUARY, None), terms(inside, None), terms(MARCH[2], "b")]


@each_world(0)
def test_invoices_and_adjustments_come_to_what_the_observer_counts(store, new_event, seed: int) -> None:
    with new_world(store, shards=1) as at:
        lives_through(at, new_event, random.Random(seed))


@each_world(0, one_in=10)
def test_invoices_and_adjustments_of_four_shards_are_the_same(store, new_event, seed: int) -> None:
    with new_world(store, shards=4) as at:
        lives_through(at, new_event, random.Random(seed))


def lives_through(at: Connections, new_event, chance: random.Random) -> None:
    """March arrives in any order, is closed while a part is missing, and April's invoices put it right."""
    store, ship = at.store, shipper(at.store)
    book = a_book(chance)
    catalog = {
        "deployments": [{"name": "chat", "model": "m", "runtime": "ray", "engine": "e", "price": "book"}],
        "price_books": [{"name": "book", "prices": [terms.written() for terms in book]}],
    }
    sync_prices(store, at.warehouse, schedules(Catalog.model_validate(catalog)), now=JANUARY)
    events = [
        new_event(
            hour + timedelta(milliseconds=chance.randrange(3_600_000)), org=chance.choice(["acme", "b"]),
            user=chance.choice("xyz"), input_tokens=100 + chance.randrange(200),
            output_tokens=chance.randrange(2_000),
        )
        for hour in MARCH for _ in range(30)
    ]  # fmt: skip
    chance.shuffle(events)

    def arrive(some: Sequence[UsageEvent]) -> None:
        """In any order of hours, and some of it twice."""
        for hour in MARCH:
            of_hour = [each for each in some if each.ts[:13] == f"{hour:%Y-%m-%dT%H}"]
            ship(hour, of_hour + of_hour[:3])
        for hours in ([MARCH[n] for n in chance.sample(range(4), 2)], MARCH[::-1]):
            roll_up_all(store, at.warehouse, hours, run_id="r", now=IN_APRIL)
            billing.adjust(at, hours, "r", IN_APRIL, lambda _: None)
            publish(at.warehouse, store, hours)

    arrive(events[:60])
    arrive(events[60:90])
    march = billing.close(at, "2026-03", "close", IN_APRIL, lambda _: None).invoices
    assert {each.org: sum(line.cost for line in each.lines) for each in march} == owed(book, events[:90])
    tiers = {line.tier for each in march for line in each.lines if line.unit == "output"}
    assert len(tiers) > 1, "every world reaches more than one tier, and its invoice shows them"
    arrive(events[90:])
    assert all(check.passed for check in evaluate(at.metered, MARCH) if check.severity == "error")
    roll_up_all(store, at.warehouse, APRIL, run_id="r", now=IN_MAY)
    publish(at.warehouse, store, APRIL)
    april = billing.close(at, "2026-04", "close", IN_MAY, lambda _: None).invoices
    billed: dict[str, Decimal] = {}
    for each in (*march, *april):
        billed[each.org] = billed.get(each.org, Decimal(0)) + sum(line.cost for line in each.lines)
    assert billed == owed(book, events)

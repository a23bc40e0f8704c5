"""A biller of its own: what orgs owe, event by event in plain Python, and the worlds that it bills.

Belongs here: the definitions of docs/catalog.md and docs/operations.md in Decimal, and worlds with everything
that may go wrong on the way to a bill.
Does not: anything of slipway.metering, which is what it is compared with.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

START = datetime(2026, 2, 28, 20, tzinfo=UTC)  # the month ends in the middle
HOURS = 8
ORGS = ("acme", "globex", "initech")
_MILLION = Decimal(1_000_000)
UNITS = ("heard_ms", "spoken_ms", "characters", "documents", "searches")
PRICED_BY = (
    Decimal(60_000),
    Decimal(60_000),
    _MILLION,
    Decimal(1_000),
    Decimal(1_000),
)  # as catalogs write it

Line = tuple[str, str | None]  # org, currency; None where nothing was owed for lack of a price


@dataclass(frozen=True)
class Entry:
    """An entry of a price book: per 1M tokens, and per so much of each unit or None, from an instant on."""

    since: datetime
    input: Decimal
    cached: Decimal
    output: Decimal
    units: tuple[Decimal | None, ...]
    org: str | None = None


@dataclass(frozen=True)
class Book:
    """A price book."""

    currency: str
    bill_failed: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Edition:
    """A catalog as it was taken at an instant: deployments with their books, and what is in the books."""

    at: datetime
    deployments: Mapping[str, str | None]
    books: Mapping[str, Book]


@dataclass(frozen=True)
class Request:
    """One request as its gateway saw it; `deployment` is empty where nothing serves the model."""

    at: datetime
    id: str
    org: str
    deployment: str
    model: str
    status: str
    counted_by: str | None
    input: int
    cached: int
    output: int
    units: tuple[int, ...]


@dataclass
class Owed:
    """What stands in a line: requests, billed tokens and units, money (exact)."""

    requests: int = 0
    uncached: int = 0
    cached: int = 0
    output: int = 0
    units: tuple[int, ...] = (0,) * len(UNITS)
    cost: Decimal = Decimal(0)


@dataclass
class World:
    """Catalogs over time, requests, and the objects of each hour with their copies, on time and late."""

    editions: list[Edition]
    requests: list[Request] = field(default_factory=list)
    on_time: dict[datetime, list[list[Request]]] = field(default_factory=dict)
    late: dict[datetime, list[list[Request]]] = field(default_factory=dict)


def bills(world: World) -> dict[Line, Owed]:
    """What every org owes. Each request counts once; its price is the one in force when it arrived."""
    owed: dict[Line, Owed] = {}
    for request in world.requests:
        book, entry = price(world.editions, request)
        line = owed.setdefault((request.org, book.currency if book and entry else None), Owed())
        rule = book.bill_failed if book and entry else "engine-output"
        is_success = request.status == "success"
        with_output = is_success or rule == "engine-output"
        with_input = is_success or (with_output and request.counted_by is not None)
        uncached = request.input - request.cached if with_input else 0
        cached = request.cached if with_input else 0
        output = request.output if with_output else 0
        line.requests += 1
        line.uncached += uncached
        line.cached += cached
        line.output += output
        # What is spoken is an answer; of all others it is the request that says how many.
        billed = [with_input, with_output, with_input, with_input, with_input]
        units = tuple(count * bills for count, bills in zip(request.units, billed, strict=True))
        line.units = tuple(map(sum, zip(line.units, units, strict=True)))
        if entry:
            line.cost += (uncached * entry.input + cached * entry.cached + output * entry.output) / _MILLION
            for count, unit_price, per in zip(units, entry.units, PRICED_BY, strict=True):
                line.cost += count * (unit_price or 0) / per
    return owed


def price(editions: Sequence[Edition], request: Request) -> tuple[Book | None, Entry | None]:
    """The book of the deployment when the request arrived, and the entry in force then.

    A deployment that left the catalog keeps what it had. An org's own entry goes before the general one.
    Nothing is in force before it was taken.
    """
    taken = [each for each in editions if each.at <= request.at and request.deployment in each.deployments]
    if not taken or taken[-1].deployments[request.deployment] is None:
        return None, None
    book = taken[-1].books[taken[-1].deployments[request.deployment] or ""]
    for org in (request.org, None):
        begun = [entry for entry in book.entries if entry.org == org and entry.since <= request.at]
        if begun:
            return book, max(begun, key=lambda entry: entry.since)
    return book, None


def world(seed: int) -> World:
    """A world of its own for each seed."""
    chance = random.Random(seed)
    made = World(_editions(chance))
    for hour in (START + timedelta(hours=n) for n in range(HOURS)):
        if chance.random() < 0.15:
            continue  # nobody asked for anything
        requests = [_request(chance, made.editions, hour) for _ in range(chance.randrange(20, 60))]
        made.requests += requests
        on_time = [each for each in requests if chance.random() < 0.85]
        late = [each for each in requests if each not in on_time]
        copies = [chance.choice(requests) for _ in range(chance.randrange(8))]
        smaller = [_smaller(chance, each) for each in chance.sample(requests, 3)]
        made.on_time[hour] = _objects(chance, on_time + copies[:4] + smaller[:2])
        made.late[hour] = _objects(chance, late + copies[4:] + smaller[2:])
    return made


def _editions(chance: random.Random) -> list[Edition]:
    """Four catalogs, one after the other.

    Prices change, ahead of time or at once, an org gets its own; deployments are renamed, change their book,
    get their first one and lose it.
    """
    at = START - timedelta(days=3)
    books = {
        "standard": Book("USD", "engine-output", (_entry(chance, at - timedelta(days=40)),)),
        "premium": Book("USD", "nothing", (_entry(chance, at), _entry(chance, at, "globex"))),
        "own": Book("EUR", "engine-output", (_entry(chance, at, "acme"),)),
    }
    deployments: dict[str, str | None] = {"chat": "standard", "big": "premium", "own": "own", "free": None}
    editions = [Edition(at, dict(deployments), dict(books))]
    for number in range(3):
        at = START + timedelta(milliseconds=chance.randrange(HOURS * 3_600_000))
        at = max(at, editions[-1].at + timedelta(milliseconds=1))
        for name in chance.sample(sorted(books), 2):
            ahead = at + timedelta(milliseconds=chance.choice([0, 0, chance.randrange(5_000_000)]))
            org = chance.choice([None, None, *ORGS])
            if all((entry.org, entry.since) != (org, ahead) for entry in books[name].entries):
                entries = (*books[name].entries, _entry(chance, ahead, org))
                books[name] = replace(books[name], entries=entries)
        change = chance.choice(["rename", "book", "first", "lose"])
        if change == "rename":
            deployments[f"chat-{number}"] = deployments.pop(sorted(deployments)[0])
        elif change == "book":
            deployments[chance.choice(sorted(deployments))] = chance.choice(sorted(books))
        elif change == "first":
            deployments["free" if "free" in deployments else f"new-{number}"] = "standard"
        else:
            deployments[chance.choice(sorted(deployments))] = None
        editions.append(Edition(at, dict(deployments), dict(books)))
    return editions


def _entry(chance: random.Random, since: datetime, org: str | None = None) -> Entry:
    """With more digits than a float would keep."""
    whole = Decimal(chance.randrange(1, 10**9)) / 1000
    units = tuple(_unit_price(chance, per) if chance.random() < 0.7 else None for per in PRICED_BY)
    return Entry(since, whole, whole / 8, Decimal(chance.randrange(1, 10**11)) / _MILLION, units, org)


def _unit_price(chance: random.Random, per: Decimal) -> Decimal:
    """A whole number of picos for each."""
    return Decimal(chance.randrange(10**12)).scaleb(-12) * per


def _request(chance: random.Random, editions: Sequence[Edition], hour: datetime) -> Request:
    entries = (entry for each in editions for book in each.books.values() for entry in book.entries)
    edges = sorted({*(each.at for each in editions), *(entry.since for entry in entries)})
    within = [edge for edge in edges if hour <= edge < hour + timedelta(hours=1)]
    at = hour + timedelta(milliseconds=chance.randrange(3_600_000))
    if within and chance.random() < 0.3:  # a millisecond decides
        at = max(hour, chance.choice(within) - timedelta(milliseconds=chance.choice([0, 1])))
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    deployment = chance.choice(sorted({name for each in editions for name in each.deployments}))
    status = chance.choices(
        ["success", "cancelled", "server_error", "client_error", "limited"], [70, 12, 8, 5, 5]
    )[0]
    is_unknown = chance.random() < 0.05
    tokens = 0 if is_unknown or status == "limited" else chance.randrange(10**6)
    milliseconds = round(at.timestamp() * 1000)
    digits = f"{milliseconds:012x}7{chance.getrandbits(12):03x}{8 << 60 | chance.getrandbits(60):016x}"
    return Request(
        at=at, id="-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])),
        org=chance.choice(ORGS), deployment="" if is_unknown else deployment,
        model=f"invented-{chance.randrange(10**9)}" if is_unknown else deployment,
        status="client_error" if is_unknown else status,
        counted_by=chance.choice([None, "engine", "engine", "bound", "none"]),
        input=tokens, cached=chance.randrange(tokens + 1), output=tokens and chance.randrange(10**6),
        units=tuple(
            chance.randrange(10**7) if tokens and chance.random() < 0.2 else 0 for _ in UNITS
        ),
    )  # fmt: skip


def _smaller(chance: random.Random, request: Request) -> Request:
    """A copy that knows of fewer tokens; the larger one is kept."""
    output = request.output // 2
    return replace(request, input=request.cached, output=output, status=request.status)


def _objects(chance: random.Random, requests: Iterable[Request]) -> list[list[Request]]:
    """Spread over a few objects, in any order."""
    spread: list[list[Request]] = [[] for _ in range(chance.randrange(1, 4))]
    for request in sorted(requests, key=lambda _: chance.random()):
        chance.choice(spread).append(request)
    return [each for each in spread if each]

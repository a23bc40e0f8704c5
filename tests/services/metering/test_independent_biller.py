"""Bills of whole worlds, compared with a biller that knows nothing of the warehouse, and of it made anew.

SLIPWAY_TEST_WORLDS=200 bills so many more; by default one, in which a millisecond decides of a price.
"""

import gzip
import io
import json
import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq
import pytest

from slipway.catalog import Catalog, Deployment
from slipway.catalog.documents import PriceBook
from slipway.control import accounting
from slipway.control.connections import Connections
from slipway.control.rebuilding import rebuild
from slipway.objectstore import ObjectStore
from slipway.records.usage import UsageEvent, object_key

from .biller import HOURS, START, Edition, Line, Owed, Request, World, bills, world
from .worlds import each_world, new_world

FIRST = 2
END = START + timedelta(hours=HOURS)
# The biller's units, in Slipway's words: in price books, and in events and tables.
TERMS = (
    "input_audio_per_minute",
    "output_audio_per_minute",
    "characters_per_million",
    "documents_per_thousand",
    "searches_per_thousand",
)
COUNTED = ("input_audio_ms", "output_audio_ms", "characters", "documents", "searches")


class Clock(datetime):
    """A clock that stands where a test puts it."""

    at = START

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return cls.at


@pytest.fixture
def worlds_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let accounting live at the world's time."""
    monkeypatch.setattr(accounting, "datetime", Clock)


def catalog(edition: Edition) -> Catalog:
    """An edition as catalog documents."""
    common = {"model": "m", "engine": "e", "runtime": "ray", "sharing": "all"}
    return Catalog(
        deployments=tuple(
            Deployment.model_validate({"name": name, "price": book, **common})
            for name, book in edition.deployments.items()
        ),
        price_books=tuple(
            PriceBook.model_validate(
                {
                    "name": name, "currency": book.currency, "bill_failed": book.bill_failed,
                    "prices": [
                        {"effective_from": entry.since.isoformat(), "org": entry.org,
                         "input": str(entry.input), "cached_input": str(entry.cached),
                         "output": str(entry.output),
                         **dict(zip(TERMS, map(written, entry.units), strict=True))}
                        for entry in book.entries
                    ],
                }
            )
            for name, book in edition.books.items()
        ),
    )  # fmt: skip


def written(price: Decimal | None) -> str | None:
    """A price as a catalog has it."""
    return None if price is None else f"{price.normalize():f}"


def line(request: Request) -> bytes:
    """A request as a gateway ships it; one of an earlier version says nothing of how it counted."""
    event = UsageEvent(
        request_id=request.id, ts=request.at.isoformat(), org=request.org, user="u", api_key="k",
        model=request.model, deployment=request.deployment, replica="g", task="text-generation",
        stream=True, input_tokens=request.input, cached_tokens=request.cached,
        output_tokens=request.output, status=request.status,  # type: ignore[arg-type]
        error_type=None, ttft_us=5, duration_us=9, max_gap_us=None, cold_start=False, attempt=1,
        counted_by=request.counted_by,  # type: ignore[arg-type]
        **dict(zip(COUNTED, request.units, strict=True)),
    )  # fmt: skip
    if request.counted_by is not None:
        return event.encode()
    fields = json.loads(event.encode())
    del fields["counted_by"]
    return json.dumps(fields).encode() + b"\n"


def ship(store: ObjectStore, hour: datetime, objects: Iterable[list[Request]], tag: str) -> None:
    """Write objects of an hour, each with a line that is none among the others."""
    for number, requests in enumerate(objects):
        lines = [line(request) for request in requests]
        lines.insert(len(lines) // 2, (b'{"half', b'{"searches":-1}', b"\xff\xfe")[number % 3] + b"\n")
        store.put(object_key(hour, "g", f"{tag}-{number}"), gzip.compress(b"".join(lines)))


def live_through(world: World, at: Connections) -> None:
    """Catalogs are taken when they are, hours are rolled up as they end; then what came late is."""
    editions = list(world.editions)
    for hour in (START + timedelta(hours=n) for n in range(HOURS)):
        end = hour + timedelta(hours=1)
        while editions and editions[0].at < end:
            edition = editions.pop(0)
            Clock.at = edition.at
            accounting.sync_prices(at, catalog(edition))
        ship(at.store, hour, world.on_time.get(hour, []), "0")
        Clock.at = end + timedelta(minutes=5)
        accounting.roll_up(at, [hour], f"{hour:%H}", lambda _: None)
    for hour, objects in world.late.items():
        ship(at.store, hour, objects, "late")
    Clock.at = END + timedelta(days=1)
    survey = accounting.late_usage(at, Clock.at, START, None)
    late = [each.hour for each in survey.stale if each.hour < END]
    assert late == [hour for hour, objects in world.late.items() if objects]
    report = accounting.roll_up(at, late, "late", lambda _: None)
    failed = {check.name for check in report.checks if not check.passed}
    assert failed <= {"conflicts", "quarantined", "unpriced"}


def owed_by(rows: Iterable[dict[str, Any]]) -> dict[Line, Owed]:
    """Lines of rows of usage_hourly."""
    owed: dict[Line, Owed] = {}
    for row in rows:
        summed = owed.setdefault((row["org"], row["currency"]), Owed())
        summed.requests += row["requests"]
        summed.uncached += row["input_uncached"]
        summed.cached += row["input_cached"]
        summed.output += row["output"]
        units = (row[unit] for unit in COUNTED)
        summed.units = tuple(map(sum, zip(summed.units, units, strict=True)))
        summed.cost += row["cost"] or Decimal(0)
    return owed


def of_copy(at: Connections) -> dict[Line, Owed]:
    """What readers of the published copy see."""
    with at.metered.reading() as copy:
        cursor = copy.execute("FROM usage_hourly")
        names = [column[0] for column in cursor.description or ()]
        return owed_by(dict(zip(names, row, strict=True)) for row in cursor.fetchall())


def of_parquet(at: Connections) -> dict[Line, Owed]:
    """What readers of Parquet in the store see."""
    days = [at.store.get(stored.key) or b"" for stored in at.store.list("metering/usage_hourly/")]
    return owed_by(row for day in days for row in pq.read_table(io.BytesIO(day)).to_pylist())


@each_world(FIRST)
def test_a_world_is_billed_as_by_a_biller_of_its_own_and_again_when_the_warehouse_is_made_anew(
    worlds_time: None, store: ObjectStore, seed: int
) -> None:
    is_billed_as_expected(store, seed, shards=1)


@each_world(FIRST, one_in=10)
def test_four_shards_bill_a_world_as_one_file_does(worlds_time: None, store: ObjectStore, seed: int) -> None:
    is_billed_as_expected(store, seed, shards=4)


def is_billed_as_expected(store: ObjectStore, seed: int, shards: int) -> None:
    made = world(seed)
    expected = bills(made)
    with new_world(store, shards) as at:
        live_through(made, at)
        assert of_copy(at) == expected
        assert of_parquet(at) == expected
        shutil.rmtree(at.environment.home / "warehouse")
        rebuild(Connections(at.environment), lambda _: None)
        assert of_copy(at) == expected
        assert of_parquet(at) == expected


def test_worlds_have_in_them_what_they_are_for() -> None:
    made = [world(seed) for seed in range(40)]
    requests = [request for each in made for request in each.requests]
    assert {request.status for request in requests} >= {"success", "cancelled", "server_error", "limited"}
    owed = [bills(each) for each in made]
    assert {currency for each in owed for _, currency in each} == {"USD", "EUR", None}
    shipped = [
        request
        for each in made
        for objects in (*each.on_time.values(), *each.late.values())
        for one in objects
        for request in one
    ]
    assert all(any(request.units[n] for request in requests) for n in range(len(COUNTED)))
    entries = [entry for each in made for book in each.editions[-1].books.values() for entry in book.entries]
    assert {unit is None for entry in entries for unit in entry.units} == {True, False}
    by_id: dict[str, set[Request]] = {}
    for request in shipped:
        by_id.setdefault(request.id, set()).add(request)
    assert len(shipped) > len(by_id) >= len(requests)  # copies
    assert any(len(copies) > 1 for copies in by_id.values())  # that differ
    renamed = [each for each in made if "chat" not in each.editions[-1].deployments]
    assert renamed and any(
        r.deployment == "chat" and r.at > each.editions[-1].at for each in renamed for r in each.requests
    )
    assert all(START <= request.at < END for request in requests)

"""Usage events as gateways ship them, on the running SeaweedFS, and a warehouse of the test's own."""

import gzip
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.metering.price_table import sync_prices
from slipway.metering.prices import PriceSchedule
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.price_history import PriceRow
from slipway.records.usage import UsageEvent, object_key

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)

Event = Callable[..., UsageEvent]
Ship = Callable[..., str]
Schedule = Callable[..., PriceSchedule]


def uuid7(at: datetime, chance: random.Random) -> str:
    """RFC 9562: 48 bits of Unix milliseconds, version 7, variant 10, the rest random."""
    milliseconds = round(at.timestamp() * 1000)
    number = (milliseconds << 80) | (7 << 76) | (chance.getrandbits(12) << 64)
    digits = f"{number | (2 << 62) | chance.getrandbits(62):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@pytest.fixture
def new_event() -> Event:
    """Makes a successful streamed request; keyword arguments change its fields."""
    chance = random.Random(7)

    def make(at: datetime = HOUR, **changes: Any) -> UsageEvent:
        fields: dict[str, Any] = {
            "request_id": uuid7(at, chance),
            "ts": at.isoformat().replace("+00:00", "Z"),
            "org": "acme", "user": "ann", "api_key": "key-1", "model": "chat", "deployment": "chat",
            "replica": "gateway-1", "task": "text-generation", "stream": True,
            "input_tokens": 100, "cached_tokens": 20, "output_tokens": 11, "status": "success",
            "error_type": None, "ttft_us": 50_000, "duration_us": 250_000, "max_gap_us": 30_000,
            "cold_start": False, "attempt": 1,
        }  # fmt: skip
        return UsageEvent(**{**fields, **changes})

    return make


@pytest.fixture
def ship(store: ObjectStore) -> Ship:
    """Writes one object of an hour: events or raw lines, or the raw bytes of the object; returns its key."""
    return shipper(store)


def shipper(store: ObjectStore) -> Ship:
    """The same into any store."""
    sequence = iter(range(10**6))

    def write(hour: datetime, lines: Iterable[UsageEvent | bytes] = (), *, body: bytes | None = None) -> str:
        key = object_key(hour, "gateway-1", f"{next(sequence):06d}")
        if body is None:
            body = gzip.compress(
                b"".join(line if isinstance(line, bytes) else line.encode() for line in lines)
            )
        store.put(key, body)
        return key

    return write


@pytest.fixture
def warehouse(store: ObjectStore, tmp_path: Path) -> Warehouse:
    """Without rows; the price history has begun, with no price in it."""
    empty = Warehouse(tmp_path / "warehouse")
    sync_prices(store, empty, (), now=JANUARY)
    return empty


@pytest.fixture
def schedule() -> Schedule:
    """A schedule of (effective_from, input, cached, output[, org]) entries in pico-units per token."""

    def make(deployment: str, *entries: tuple[Any, ...], bill_failed: str = "engine-output") -> PriceSchedule:
        rows = []
        for since, *prices in entries:
            org = prices[3] if len(prices) > 3 else None
            later = [e[0] for e in entries if e[0] > since and (e[4] if len(e) > 4 else None) == org]
            until = min(later, default=None)
            rows.append(PriceRow(deployment, org, since, until, "standard", *prices[:3], "USD", bill_failed))
        return PriceSchedule(deployment, "standard", tuple(rows))

    return make


@pytest.fixture
def rows(warehouse: Warehouse) -> Callable[[str], list[dict[str, Any]]]:
    """All rows of a table of the live warehouse, in the order of all columns, without run_id."""

    def read(table: str) -> list[dict[str, Any]]:
        with warehouse.writing() as connection:
            cursor = connection.execute(f"FROM {table} ORDER BY ALL")
            names = [column[0] for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        return [{name: value for name, value in row.items() if name != "run_id"} for row in found]

    return read

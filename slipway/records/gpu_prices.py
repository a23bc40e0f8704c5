"""GPU prices as they were taken: the whole list as numbered objects in S3, each written once.

Belongs here: a price, the objects' format, reading the newest, adding the next.
Does not: the catalog's fields (slipway.catalog.gpu_prices), what ran and what it cost (slipway.metering).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.objectstore import ObjectStore

PREFIX = "gpu-prices/"

_NUMBERED = re.compile(r"gpu-prices/(\d{12})\.json")
_ATTEMPTS = 20


class GpuPricesError(RuntimeError):
    """The newest list cannot be read, or others were first again and again; the message says what to do."""


@dataclass(frozen=True, order=True)
class GpuPriceRow:
    """What a GPU of a class ("": of none) costs for an hour from an instant on, in 10^-12 of the currency."""

    gpu_class: str
    effective_from: datetime
    currency: str
    pico_per_hour: int


class GpuPrices:
    """All lists that were taken, in one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def latest(self) -> tuple[GpuPriceRow, ...]:
        """The list that counts; empty before the first. Raises GpuPricesError, ObjectStoreError."""
        number = self._newest()
        return self._read(number) if number else ()

    def take(self, rows: Sequence[GpuPriceRow], now: datetime) -> bool:
        """Make this the list that counts; False where it is. Raises as `latest`."""
        wanted = tuple(sorted(rows))
        for _ in range(_ATTEMPTS):
            number = self._newest()
            if (self._read(number) if number else ()) == wanted:
                return False
            body = _encoded(wanted, now)
            key = key_of(number + 1)
            # A first try whose reply was lost is refused when the client repeats it: then it is ours.
            if self._store.create(key, body) or self._store.get(key) == body:
                return True
        raise GpuPricesError(
            f"GPU prices of bucket {self._store.location.bucket}: other writers were first {_ATTEMPTS} "
            "times. Nothing was taken; run this again."
        )

    def _newest(self) -> int:
        matches = (_NUMBERED.fullmatch(stored.key) for stored in self._store.list(PREFIX))
        return max((int(match[1]) for match in matches if match is not None), default=0)

    def _read(self, number: int) -> tuple[GpuPriceRow, ...]:
        try:
            document = json.loads(self._store.get(key_of(number)) or b"")
            return tuple(_row(row) for row in document["rows"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise GpuPricesError(
                f"{key_of(number)} in bucket {self._store.location.bucket}: no list of prices "
                f"({type(error).__name__}). Restore it, or remove it: then the one before counts."
            ) from error


def key_of(number: int) -> str:
    """Where the list of a number lies."""
    return f"{PREFIX}{number:012}.json"


def _encoded(rows: Sequence[GpuPriceRow], now: datetime) -> bytes:
    plain = [{**vars(row), "effective_from": row.effective_from.astimezone(UTC).isoformat()} for row in rows]
    return json.dumps({"taken_at": now.astimezone(UTC).isoformat(), "rows": plain}, sort_keys=True).encode()


def _row(plain: dict[str, Any]) -> GpuPriceRow:
    return GpuPriceRow(
        str(plain["gpu_class"]), datetime.fromisoformat(plain["effective_from"]), str(plain["currency"]),
        int(plain["pico_per_hour"]),
    )  # fmt: skip

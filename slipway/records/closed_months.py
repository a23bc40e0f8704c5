"""Closed months: what each organisation was found to owe, line by line, kept in S3 and never changed.

Belongs here: a line as it was billed, the objects' format, closing a month once, reading all of them.
Does not: what must hold before a month is closed, and invoices made of it (slipway.billing).

The lines of an organisation lie under their own digest, the month's record names these digests, and the
record is created once (`If-None-Match: *`): it is the instant at which the month is closed. What a closing
that died had written is either named by no record, or the same object that the next one writes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from slipway.objectstore import ObjectStore

PREFIX = "billing/months/"
LINES_PREFIX = "billing/lines/"

_RECORD = re.compile(r"billing/months/(\d{4}-(?:0[1-9]|1[0-2]))\.json\.gz")
_AT_ONCE = 16


class KeptBillingError(RuntimeError):
    """An object that bills are made of is missing or cannot be read; the message names it and the remedy."""


@dataclass(frozen=True, order=True, slots=True)
class BilledLine:
    """What was used of one unit in one hour at one price, and its exact cost in whole units of the currency.

    `price_pico` is in pico-units of the currency per `unit`; `tier` is 0 where there is one price.
    """

    hour: datetime
    deployment: str
    model: str
    unit: str
    price_version: str
    tier: int
    price_pico: int
    currency: str
    quantity: int
    cost: Decimal


@dataclass(frozen=True)
class ClosedMonth:
    """The record of a closing. `month` is such as `2026-10`; `lines` the digest of each organisation's lines.

    Adjustments whose number is at most `adjustments_up_to`, and that no earlier month carried, are on this
    month's invoices. `run_id` names the closing; it is no part of what is billed.
    """

    month: str
    closed_at: datetime
    run_id: str
    adjustments_up_to: int
    lines: Mapping[str, str]

    def encode(self) -> bytes:
        """The object; the same record makes the same bytes."""
        plain = {**asdict(self), "closed_at": self.closed_at.astimezone(UTC).isoformat()}
        return packed(plain)


class ClosedMonths:
    """All closed months, in one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def all(self) -> list[ClosedMonth]:
        """Every closed month, in order. Raises KeptBillingError, ObjectStoreError."""
        matches = (_RECORD.fullmatch(stored.key) for stored in self._store.list(PREFIX))
        months = [self.get(match[1]) for match in matches if match is not None]
        return sorted((month for month in months if month is not None), key=lambda each: each.month)

    def get(self, month: str) -> ClosedMonth | None:
        """The record of one month; None while it is open."""
        key = record_key(month)
        body = self._store.get(key)
        return None if body is None else reading(self._store, key, body, _closed_month)

    def keep_lines(self, month: str, lines: Mapping[str, Sequence[BilledLine]]) -> dict[str, str]:
        """Write the lines of each organisation under their digest, and return the digests."""

        def keep(org: str) -> tuple[str, str]:
            rows = [_row(line) for line in sorted(lines[org])]
            body = packed({"org": org, "lines": rows})
            digest = hashlib.sha256(body).hexdigest()
            key = lines_key(month, digest)
            if not self._store.create(key, body, content_type="application/gzip"):
                there = self._store.get(key)
                if there != body:
                    raise damaged(self._store, key, "is not what its name says")
            return org, digest

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="keep-lines") as pool:
            return dict(pool.map(keep, sorted(lines)))

    def lines(self, closed: ClosedMonth) -> dict[str, list[BilledLine]]:
        """The lines that were closed, by organisation. Raises KeptBillingError."""

        def read(org: str) -> tuple[str, list[BilledLine]]:
            key = lines_key(closed.month, closed.lines[org])
            body = self._store.get(key)
            if body is None:
                raise damaged(self._store, key, "is missing")
            if hashlib.sha256(body).hexdigest() != closed.lines[org]:
                raise damaged(self._store, key, "is not what its name says")
            return org, reading(self._store, key, body, _lines)

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="read-lines") as pool:
            return dict(pool.map(read, sorted(closed.lines)))

    def close(self, closed: ClosedMonth) -> ClosedMonth:
        """Close the month, once and for all; the record that counts, another's if that was first."""
        self._store.create(record_key(closed.month), closed.encode(), content_type="application/gzip")
        kept = self.get(closed.month)
        if kept is None:
            raise damaged(self._store, record_key(closed.month), "was removed as soon as it was written")
        return kept


def record_key(month: str) -> str:
    """Where the record of a month lies."""
    return f"{PREFIX}{month}.json.gz"


def lines_key(month: str, digest: str) -> str:
    """Where lines with that digest lie."""
    return f"{LINES_PREFIX}{month}/{digest}.json.gz"


def packed(document: Any) -> bytes:
    """A document as the objects of billing are written: the same one makes the same bytes."""
    return gzip.compress(json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), mtime=0)


def reading(store: ObjectStore, key: str, body: bytes, make: Any) -> Any:
    """What `make` makes of the object's document; KeptBillingError for what is not one."""
    try:
        return make(json.loads(gzip.decompress(body)))
    except (
        AttributeError, KeyError, TypeError, ValueError, IndexError, InvalidOperation, EOFError, OSError,
        RecursionError, zlib.error,
    ) as error:  # fmt: skip
        raise damaged(store, key, f"cannot be read ({type(error).__name__}: {error})") from error


def damaged(store: ObjectStore, key: str, what: str) -> KeptBillingError:
    """The error that names an object of bills, and what to do."""
    return KeptBillingError(
        f"bucket {store.location.bucket}: {key} {what}. Slipway never changes nor removes these objects: "
        "restore it from a backup of the bucket, then run this again. Until then nothing is billed."
    )


def _closed_month(plain: dict[str, Any]) -> ClosedMonth:
    at = datetime.fromisoformat(plain["closed_at"])
    return ClosedMonth(plain["month"], at, plain["run_id"], plain["adjustments_up_to"], dict(plain["lines"]))


def _row(line: BilledLine) -> list[Any]:
    hour = line.hour.astimezone(UTC).isoformat()
    return [
        hour, line.deployment, line.model, line.unit, line.price_version, line.tier, line.price_pico,
        line.currency, line.quantity, f"{line.cost:f}",
    ]  # fmt: skip


def _lines(plain: dict[str, Any]) -> list[BilledLine]:
    return [
        BilledLine(*(datetime.fromisoformat(row[0]), *row[1:-1], Decimal(row[-1]))) for row in plain["lines"]
    ]

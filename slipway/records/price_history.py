"""The price history: numbered objects in S3, each the whole price table after one change, and never removed.

Belongs here: a price as it was taken, the objects' format, reading the newest, adding the next.
Does not: which prices follow from a catalog and which changes are refused (slipway.metering.prices), the
copy of it that rating joins (slipway.metering.price_table).

What a bill is made of must not lie in a file that can be made anew: since when a deployment has a price is
known nowhere else. The newest number counts; a number is granted to one writer (`If-None-Match: *`).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from slipway.catalog.price_fields import MS_PER_MINUTE, PER_MILLION, PER_THOUSAND
from slipway.objectstore import ObjectStore

PREFIX = "prices/"

_MICRO = 1_000_000
_NUMBERED = re.compile(r"prices/(\d{12})\.json\.gz")
_ATTEMPTS = 20  # each is lost to another writer that took prices


class PriceHistoryError(RuntimeError):
    """There is no price history, or it cannot be read whole; the message names the bucket and the remedy."""


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """A price that an entry has.

    `name` is that of the row's field, `term` what the catalog calls it, and `base_units` how many of what is
    counted that is the price of. `unit` is what is counted, as cost is told by it, and `volume_units` how
    many of them the catalog's volumes are in.
    """

    name: str
    term: str
    base_units: int
    unit: str
    volume_units: int = 1

    def pico(self, price: Decimal | None) -> int | None:
        """A price of the catalog, which is a whole number of pico-units for each."""
        return None if price is None else int(price.scaleb(12) / self.base_units)

    def written(self, pico: int | None) -> str:
        """As the catalog writes it."""
        return "no price" if pico is None else _plain_decimal(Decimal(pico * self.base_units).scaleb(-12))


UNIT_PRICES = (
    UnitPrice("input_audio_pico", "input_audio_per_minute", MS_PER_MINUTE, "input_audio_ms", MS_PER_MINUTE),
    UnitPrice(
        "output_audio_pico", "output_audio_per_minute", MS_PER_MINUTE, "output_audio_ms", MS_PER_MINUTE
    ),
    UnitPrice("character_pico", "characters_per_million", PER_MILLION, "characters"),
    UnitPrice("document_pico", "documents_per_thousand", PER_THOUSAND, "documents"),
    UnitPrice("search_pico", "searches_per_thousand", PER_THOUSAND, "searches"),
)
TOKEN_PRICES = (
    UnitPrice("input_pico", "input", PER_MILLION, "input_uncached"),
    UnitPrice("cached_pico", "cached_input", PER_MILLION, "input_cached"),
    UnitPrice("output_pico", "output", PER_MILLION, "output"),
)
ALL_PRICES = (*TOKEN_PRICES, *UNIT_PRICES)
_PRICE_OF = {price.unit: price for price in ALL_PRICES}


@dataclass(frozen=True, order=True, slots=True)
class UnitTiers:
    """Prices of a unit by the volume of the month: `steps` are (volume above which it begins, pico-units).

    `unit` is what cost is told by (UnitPrice.unit). The first step begins at 0; each ends where the next
    begins.
    """

    unit: str
    steps: tuple[tuple[int, int], ...]

    def written(self) -> str:
        """As people read it: `output: 0, 0.6 above 1000000`."""
        price = _PRICE_OF[self.unit]
        steps = [
            price.written(pico)
            + (f" above {_plain_decimal(Decimal(above) / price.volume_units)}" if above else "")
            for above, pico in self.steps
        ]
        return f"{self.unit}: {', '.join(steps)}"


@dataclass(frozen=True, order=True)
class PriceRow:
    """One price of one deployment, in force in [effective_from, effective_to) for `org`, or for all others.

    Prices are pico-units of the currency per token, which is micro-units per 1M tokens, and per millisecond
    of audio, character, document and search; None of these has no price. `assigned_from` is the instant at
    which the deployment came to this book; it may be None where a version before the history took the price.
    `model` is the one name in requests that it is for. Units with `tiers` cost by the month's volume, the
    others always the same; `minimum_pico` is the least that a successful request costs.
    """

    deployment: str
    org: str | None
    effective_from: datetime
    effective_to: datetime | None
    book: str
    input_pico: int
    cached_pico: int
    output_pico: int
    currency: str
    bill_failed: str
    assigned_from: datetime | None = None
    # Not written where there is none: versions that know only tokens read such a history.
    input_audio_pico: int | None = None
    output_audio_pico: int | None = None
    character_pico: int | None = None
    document_pico: int | None = None
    search_pico: int | None = None
    model: str | None = None
    tiers: tuple[UnitTiers, ...] = ()
    minimum_pico: int | None = None

    @property
    def version(self) -> str:
        """Stable name of this price, such as `standard@2026-01-01T00:00:00Z`, `standard/acme[law]@...`."""
        scope = self.book if self.org is None else f"{self.book}/{self.org}"
        if self.model is not None:
            scope += f"[{self.model}]"
        return f"{scope}@{instant_text(self.effective_from)}"

    def covers(self, at: datetime) -> bool:
        """Whether the price is in force at an instant."""
        return self.effective_from <= at and (self.effective_to is None or at < self.effective_to)

    def terms(self) -> dict[str, str]:
        """What a tenant pays under this price, by field, as the catalog writes it."""
        return {
            "input": per_million(self.input_pico),
            "cached_input": per_million(self.cached_pico),
            "output": per_million(self.output_pico),
            "currency": self.currency,
            "bill_failed": self.bill_failed,
            **{unit.term: unit.written(getattr(self, unit.name)) for unit in UNIT_PRICES},
            "tiers": "; ".join(unit.written() for unit in self.tiers) or "none",
            "minimum_per_request": "none"
            if self.minimum_pico is None
            else _plain_decimal(Decimal(self.minimum_pico).scaleb(-12)),
        }


@dataclass(frozen=True)
class TakenPrices:
    """The whole price table as of one change: its number, when it was taken, and its rows in order."""

    number: int
    taken_at: datetime
    rows: tuple[PriceRow, ...]

    def encode(self) -> bytes:
        """The object; the same prices make the same bytes."""
        document = {"taken_at": instant_text(self.taken_at), "rows": [_plain(row) for row in self.rows]}
        return gzip.compress(json.dumps(document).encode(), mtime=0)

    @classmethod
    def decode(cls, number: int, body: bytes) -> TakenPrices:
        """From the object; raises ValueError for anything else."""
        try:
            document = json.loads(gzip.decompress(body))
            rows = tuple(_row(row) for row in document["rows"])
            return cls(number, datetime.fromisoformat(document["taken_at"]), rows)
        except (AttributeError, KeyError, TypeError, EOFError, OSError, RecursionError, zlib.error) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


class PriceHistory:
    """All prices that were taken, in one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def latest(self) -> TakenPrices | None:
        """The table that counts; None before the first. Raises PriceHistoryError, ObjectStoreError."""
        matches = (_NUMBERED.fullmatch(stored.key) for stored in self._store.list(PREFIX))
        numbers = [int(match[1]) for match in matches if match is not None]
        if not numbers:
            return None
        missing = sorted(set(range(1, max(numbers))) - set(numbers))
        if missing:
            raise self._damaged(missing[0], "is missing, and later ones are there")
        return self._read(max(numbers))

    def required(self) -> TakenPrices:
        """The table that counts. Raises PriceHistoryError when none was ever taken, too."""
        latest = self.latest()
        if latest is None:
            raise PriceHistoryError(
                f"bucket {self._store.location.bucket} has no price history ({PREFIX}), so nobody knows what "
                "usage costs since when. If the bucket had one, restore it from a backup. Otherwise take the "
                "catalog's prices: the sensor catalog_drift does, or materialize billing/prices in the UI; "
                "they are in force from then on. Then run this again."
            )
        return latest

    def take(
        self, make: Callable[[TakenPrices | None, datetime], Sequence[PriceRow]], now: datetime
    ) -> TakenPrices:
        """Add what `make` makes of the table that counts, and return it; an equal one is not written.

        `make` is given that table and the instant of taking, which is never before an earlier one, whatever
        the clock says. It is called again whenever another writer was first. Raises PriceHistoryError.
        """
        for _ in range(_ATTEMPTS):
            before = self.latest()
            at = now if before is None else max(now, before.taken_at)
            rows = tuple(make(before, at))
            if before is not None and before.rows == rows:
                return before
            taken = TakenPrices(before.number + 1 if before else 1, at, rows)
            key, body = key_of(taken.number), taken.encode()
            # A first try whose reply was lost is refused when the client repeats it: then it is ours.
            if self._store.create(key, body) or self._store.get(key) == body:
                return taken
        raise PriceHistoryError(
            f"price history of bucket {self._store.location.bucket}: other writers were first {_ATTEMPTS} "
            "times. Nothing was taken; run this again."
        )

    def _read(self, number: int) -> TakenPrices:
        body = self._store.get(key_of(number))
        if body is None:
            raise self._damaged(number, "was removed while it was read")
        try:
            return TakenPrices.decode(number, body)
        except ValueError as error:
            raise self._damaged(number, f"cannot be read: {error}") from error

    def _damaged(self, number: int, what: str) -> PriceHistoryError:
        return PriceHistoryError(
            f"price history of bucket {self._store.location.bucket}: {key_of(number)} {what}. These "
            "objects are never changed nor removed: restore it from a backup of the bucket. Until then "
            "nothing is rolled up."
        )


def key_of(number: int) -> str:
    """Where the table of a number lies."""
    return f"{PREFIX}{number:012}.json.gz"


def instant_text(instant: datetime) -> str:
    """An instant as prices are named by it: UTC, with a Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def per_million(pico: int) -> str:
    """A price per token as the catalog writes it: units per 1M tokens."""
    return _plain_decimal(Decimal(pico) / _MICRO)


def _plain_decimal(price: Decimal) -> str:
    return format(price.normalize(), "f")


_INSTANTS = ("effective_from", "effective_to", "assigned_from")
_TERMS = frozenset({"model", "tiers", "minimum_pico"})  # not written where there is none, as those of units
_OPTIONAL = frozenset(unit.name for unit in UNIT_PRICES) | _TERMS
_FIELDS = frozenset(field.name for field in fields(PriceRow)) - _OPTIONAL


def _plain(row: PriceRow) -> dict[str, Any]:
    plain = {
        name: value for name, value in asdict(row).items() if name not in _OPTIONAL or value not in (None, ())
    }
    if row.tiers:
        plain["tiers"] = {unit.unit: unit.steps for unit in row.tiers}
    for name in _INSTANTS:
        plain[name] = None if plain[name] is None else instant_text(plain[name])
    return plain


def _row(plain: dict[str, Any]) -> PriceRow:
    if plain.keys() - _OPTIONAL != _FIELDS:
        others = sorted((plain.keys() - _OPTIONAL) ^ _FIELDS)
        raise ValueError(f"a price with other fields: {', '.join(others)}")
    values = dict(plain)
    for name in _INSTANTS:
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    values["tiers"] = tuple(
        UnitTiers(_PRICE_OF[unit].unit, tuple((int(above), int(pico)) for above, pico in steps))
        for unit, steps in values.get("tiers", {}).items()
    )
    return PriceRow(**values)

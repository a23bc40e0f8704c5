"""Adjustments: what was found of closed months after they were closed; numbered objects in S3, never changed.

Belongs here: one adjustment, the objects' format, reading all, adding the next.
Does not: what differs (slipway.billing.adjusting), on which invoice it goes (slipway.billing.invoicing).

Each object is what one comparison found. Its number is granted to one writer (`If-None-Match: *`), who
compared against all lower numbers, so that a difference is written once whoever else compares meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from slipway.objectstore import ObjectStore
from slipway.records.closed_months import BilledLine, KeptBillingError, damaged, packed, reading

PREFIX = "billing/adjustments/"

_NUMBERED = re.compile(r"billing/adjustments/(\d{12})\.json\.gz")
_ATTEMPTS = 20


@dataclass(frozen=True, order=True, slots=True)
class Adjustment:
    """A difference of a closed month: quantity and cost of `line` are what to add, or to take."""

    month: str
    org: str
    line: BilledLine
    reason: str


@dataclass(frozen=True)
class Adjusted:
    """What one comparison found: its number, when, by which run, and the differences in order."""

    number: int
    made_at: datetime
    run_id: str
    rows: tuple[Adjustment, ...]

    def encode(self) -> bytes:
        """The object; the same differences make the same bytes."""
        made_at = self.made_at.astimezone(UTC).isoformat()
        return packed({"made_at": made_at, "run_id": self.run_id, "rows": [_plain(row) for row in self.rows]})


class Adjustments:
    """All adjustments, in one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def last_number(self) -> int:
        """The highest number; 0 where there is none. Raises KeptBillingError where a lower one is missing."""
        matches = (_NUMBERED.fullmatch(stored.key) for stored in self._store.list(PREFIX))
        numbers = {int(match[1]) for match in matches if match is not None}
        missing = sorted(set(range(1, max(numbers, default=0))) - numbers)
        if missing:
            raise damaged(self._store, key_of(missing[0]), "is missing, and later ones are there")
        return max(numbers, default=0)

    def after(self, number: int) -> list[Adjusted]:
        """All with a higher number, in order. Raises KeptBillingError, ObjectStoreError."""
        return [self._read(each) for each in range(number + 1, self.last_number() + 1)]

    def add(self, find: Callable[[int], Sequence[Adjustment]], run_id: str, now: datetime) -> Adjusted | None:
        """Write what `find` finds against all adjustments up to the number it is given; None: nothing.

        It is called again whenever another writer was first. Raises KeptBillingError.
        """
        for _ in range(_ATTEMPTS):
            last = self.last_number()
            rows = tuple(sorted(find(last)))
            if not rows:
                return None
            adjusted = Adjusted(last + 1, now, run_id, rows)
            key, body = key_of(adjusted.number), adjusted.encode()
            # A first try whose reply was lost is refused when the client repeats it: then it is ours.
            if self._store.create(key, body, content_type="application/gzip") or self._store.get(key) == body:
                return adjusted
        raise KeptBillingError(
            f"adjustments of bucket {self._store.location.bucket}: other writers were first {_ATTEMPTS} "
            "times. Nothing was written; run this again."
        )

    def _read(self, number: int) -> Adjusted:
        key = key_of(number)
        body = self._store.get(key)
        if body is None:
            raise damaged(self._store, key, "was removed while it was read")
        made: Adjusted = reading(self._store, key, body, lambda plain: _adjusted(number, plain))
        return made


def key_of(number: int) -> str:
    """Where the adjustments of a number lie."""
    return f"{PREFIX}{number:012}.json.gz"


def _plain(row: Adjustment) -> dict[str, Any]:
    line = row.line
    return {
        "month": row.month, "org": row.org, "hour": line.hour.astimezone(UTC).isoformat(),
        "deployment": line.deployment, "model": line.model, "unit": line.unit,
        "price_version": line.price_version, "tier": line.tier, "price_pico": line.price_pico,
        "currency": line.currency, "quantity": line.quantity, "cost": f"{line.cost:f}", "reason": row.reason,
    }  # fmt: skip


def _adjusted(number: int, plain: dict[str, Any]) -> Adjusted:
    rows = []
    for row in plain["rows"]:
        line = BilledLine(
            datetime.fromisoformat(row["hour"]), row["deployment"], row["model"], row["unit"],
            row["price_version"], row["tier"], row["price_pico"], row["currency"], row["quantity"],
            Decimal(row["cost"]),
        )  # fmt: skip
        rows.append(Adjustment(row["month"], row["org"], line, row["reason"]))
    return Adjusted(number, datetime.fromisoformat(plain["made_at"]), plain["run_id"], tuple(rows))

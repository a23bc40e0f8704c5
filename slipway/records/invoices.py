"""Invoices, and who was told of them: objects in S3, each created once and never changed.

Belongs here: an invoice and its lines, the objects' format, keeping and reading them, notes of deliveries.
Does not: what an invoice says (slipway.billing.invoicing), how it looks (slipway.billing.rendering).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

from slipway.objectstore import ObjectStore
from slipway.records.closed_months import damaged, packed, reading

PREFIX = "billing/invoices/"
DELIVERIES_PREFIX = "billing/deliveries/"


@dataclass(frozen=True)
class InvoiceLine:
    """One line: what was used at one price in the month, or one adjustment of an earlier month.

    `cost` is exact; `amount_minor` is rounded, in minor units of the currency (cents). An adjustment names
    its month, hour, reason and run, and the number of the object that keeps it.
    """

    number: int
    kind: Literal["usage", "adjustment"]
    deployment: str
    unit: str
    price_version: str
    tier: int
    price_pico: int
    quantity: int
    cost: Decimal
    amount_minor: int
    month: str
    hour: datetime | None = None
    reason: str | None = None
    run_id: str | None = None
    adjustment: int | None = None


@dataclass(frozen=True)
class Invoice:
    """What an organisation owes for a month in one currency; `total_minor` is the sum of its lines.

    `issued_at` is the closing of the month, None for a draft. `minor_digits` is the currency's (ISO 4217).
    """

    month: str
    org: str
    currency: str
    minor_digits: int
    issued_at: datetime | None
    total_minor: int
    lines: tuple[InvoiceLine, ...]

    @property
    def id(self) -> str:
        """Stable: one organisation has one invoice for a month in a currency."""
        name = f"{self.month}-{self.org}-{self.currency}"
        return name if self.issued_at is not None else f"draft-{name}"

    @property
    def is_draft(self) -> bool:
        """Whether the month is not closed, so that figures may change."""
        return self.issued_at is None

    def plain(self) -> dict[str, Any]:
        """As JSON carries it; exact costs and instants are strings."""
        return {
            "id": self.id,
            "draft": self.is_draft,
            **asdict(self),
            "issued_at": _text(self.issued_at),
            "lines": [
                {**asdict(line), "cost": f"{line.cost:f}", "hour": _text(line.hour)} for line in self.lines
            ],
        }


class Invoices:
    """All invoices of one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def keep(self, invoice: Invoice) -> None:
        """Write the invoice unless it is there; one that was issued is never replaced."""
        self._store.create(key_of(invoice), packed(invoice.plain()), content_type="application/gzip")

    def keys(self, month: str) -> list[str]:
        """The keys of a month's invoices, in order."""
        return [stored.key for stored in self._store.list(f"{PREFIX}{month}/")]

    def read(self, key: str) -> Invoice:
        """One invoice. Raises KeptBillingError."""
        body = self._store.get(key)
        if body is None:
            raise damaged(self._store, key, "is missing")
        invoice: Invoice = reading(self._store, key, body, _invoice)
        return invoice

    def of(self, month: str, org: str | None = None) -> list[Invoice]:
        """The invoices of a month, or of one organisation in it."""
        prefix = f"{PREFIX}{month}/" if org is None else f"{PREFIX}{month}/{quote(org, safe='')}/"
        return [self.read(stored.key) for stored in self._store.list(prefix)]

    def was_told(self, invoice: Invoice, receiver: str) -> bool:
        """Whether this receiver has said that it took the invoice."""
        return self._store.get(delivery_key(invoice, receiver)) is not None

    def note_told(self, invoice: Invoice, receiver: str, status: int, at: datetime) -> None:
        """Note that the receiver took the invoice; once."""
        note = {"invoice": invoice.id, "receiver": receiver, "status": status, "at": _text(at)}
        self._store.create(delivery_key(invoice, receiver), packed(note), content_type="application/gzip")


def key_of(invoice: Invoice) -> str:
    """Where an invoice lies."""
    return f"{PREFIX}{invoice.month}/{quote(invoice.org, safe='')}/{invoice.currency}.json.gz"


def delivery_key(invoice: Invoice, receiver: str) -> str:
    """Where it is noted that a receiver took an invoice; an address may hold a secret, so by its digest."""
    digest = hashlib.sha256(receiver.encode()).hexdigest()[:16]
    return f"{DELIVERIES_PREFIX}{quote(invoice.id, safe='')}/{digest}.json.gz"


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _invoice(plain: dict[str, Any]) -> Invoice:
    lines = tuple(
        InvoiceLine(**{**line, "cost": Decimal(line["cost"]), "hour": _instant(line["hour"])})
        for line in plain["lines"]
    )
    fields = {name: value for name, value in plain.items() if name not in {"id", "draft"}}
    return Invoice(**{**fields, "issued_at": _instant(plain["issued_at"]), "lines": lines})

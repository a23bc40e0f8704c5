"""Invoices as pure functions: from the lines of a month, and adjustments of earlier ones, to what is owed.

Belongs here: which costs make one line, rounding each once, in which order they stand.
Does not: where lines come from (tables.py), keeping invoices (slipway.records.invoices).

An adjustment line is what its line of the closed month rounds to with it, less what that rounded to before:
so all invoices together come to what one invoice had said, had everything been known at closing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from slipway.billing.money import added, minor_digits, to_minor
from slipway.records.closed_months import BilledLine
from slipway.records.invoices import Invoice, InvoiceLine


@dataclass(frozen=True, order=True)
class LineKey:
    """What has one line on an invoice."""

    deployment: str
    unit: str
    price_version: str
    tier: int
    price_pico: int


@dataclass(frozen=True)
class Used:
    """What an organisation used of one key in a month: exact."""

    org: str
    currency: str
    key: LineKey
    quantity: int
    cost: Decimal


@dataclass(frozen=True)
class Correction:
    """One adjustment that an invoice carries.

    `before` is the exact cost of the key in its own month, with all adjustments of earlier invoices.
    """

    org: str
    currency: str
    key: LineKey
    month: str
    hour: datetime
    number: int
    quantity: int
    cost: Decimal
    reason: str
    run_id: str
    before: Decimal


def invoices(
    month: str, issued_at: datetime | None, used: Iterable[Used], corrections: Iterable[Correction]
) -> list[Invoice]:
    """One invoice per organisation and currency with anything to say; a draft where `issued_at` is None."""
    used_of: dict[tuple[str, str], list[Used]] = {}
    corrections_of: dict[tuple[str, str], list[Correction]] = {}
    for each in used:
        used_of.setdefault((each.org, each.currency), []).append(each)
    for correction in corrections:
        corrections_of.setdefault((correction.org, correction.currency), []).append(correction)
    made = []
    for org, currency in sorted({*used_of, *corrections_of}):
        lines = _usage_lines(month, currency, used_of.get((org, currency), ()))
        lines += _adjustment_lines(currency, corrections_of.get((org, currency), ()), len(lines) + 1)
        total = sum(line.amount_minor for line in lines)
        made.append(Invoice(month, org, currency, minor_digits(currency), issued_at, total, tuple(lines)))
    return made


def _usage_lines(month: str, currency: str, used: Sequence[Used]) -> list[InvoiceLine]:
    return [
        InvoiceLine(
            number, "usage", each.key.deployment, each.key.unit, each.key.price_version, each.key.tier,
            each.key.price_pico, each.quantity, each.cost, to_minor(each.cost, currency), month,
        )
        for number, each in enumerate(sorted(used, key=lambda each: each.key), start=1)
    ]  # fmt: skip


def _adjustment_lines(currency: str, corrections: Sequence[Correction], first: int) -> list[InvoiceLine]:
    so_far: dict[tuple[str, LineKey], Decimal] = {}
    lines = []
    ordered = sorted(corrections, key=lambda each: (each.month, each.key, each.number, each.hour))
    for number, each in enumerate(ordered, start=first):
        before = so_far.get((each.month, each.key), each.before)
        after = so_far[(each.month, each.key)] = added(before, each.cost)
        lines.append(
            InvoiceLine(
                number, "adjustment", each.key.deployment, each.key.unit, each.key.price_version,
                each.key.tier, each.key.price_pico, each.quantity, each.cost,
                to_minor(after, currency) - to_minor(before, currency), each.month, each.hour, each.reason,
                each.run_id, each.number,
            )
        )  # fmt: skip
    return lines


def summed(lines: Mapping[str, Sequence[BilledLine]]) -> list[Used]:
    """The lines of each organisation over hours and models, as `invoices` takes them."""
    sums: dict[tuple[str, str, LineKey], tuple[int, Decimal]] = {}
    for org, of_org in lines.items():
        for line in of_org:
            key = LineKey(line.deployment, line.unit, line.price_version, line.tier, line.price_pico)
            quantity, cost = sums.get((org, line.currency, key), (0, Decimal(0)))
            sums[(org, line.currency, key)] = (quantity + line.quantity, added(cost, line.cost))
    return [Used(org, currency, key, *total) for (org, currency, key), total in sums.items()]


def totals(made: Iterable[Invoice]) -> Mapping[str, int]:
    """The sum of all invoices by currency, in minor units."""
    total: dict[str, int] = {}
    for invoice in made:
        total[invoice.currency] = total.get(invoice.currency, 0) + invoice.total_minor
    return dict(sorted(total.items()))

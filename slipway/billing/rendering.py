"""How an invoice looks: HTML for people and printers, JSON and CSV for programs, text for a terminal.

Belongs here: those four, each a pure function of an invoice.
Does not: what it says (invoicing.py), formats of other billing systems (exports.py).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from slipway.billing.money import RULE, written
from slipway.billing.units import unit
from slipway.records.invoices import Invoice, InvoiceLine

COLUMNS = (
    "invoice", "month", "org", "currency", "line", "kind", "deployment", "unit", "price_version", "tier",
    "price_pico", "quantity", "cost", "amount", "usage_month", "hour", "reason", "run_id", "adjustment",
)  # fmt: skip

_TEMPLATES = Path(__file__).parent / "templates"


def as_json(invoices: Sequence[Invoice]) -> str:
    """All of each invoice; amounts are in minor units, exact costs are strings."""
    return json.dumps([invoice.plain() for invoice in invoices], indent=2)


def as_csv(invoices: Sequence[Invoice]) -> str:
    """A row per line, amounts in whole units of the currency."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for invoice in invoices:
        for line in invoice.lines:
            writer.writerow(map(_cell, _row(invoice, line)))
    return text.getvalue()


def as_text(invoices: Sequence[Invoice]) -> str:
    """For a terminal."""
    parts = []
    for invoice in invoices:
        parts.append(f"{invoice.id}{'   DRAFT: the month is not closed' if invoice.is_draft else ''}")
        parts += [
            f"  {line.number:>4}  {_what(line)}, {unit(line.unit).price(line.price_pico)} = "
            f"{written(line.amount_minor, invoice.minor_digits, grouped=True)}"
            for line in invoice.lines
        ]
        parts.append(
            f"  total {written(invoice.total_minor, invoice.minor_digits, grouped=True)} {invoice.currency}"
        )
    return "\n".join(parts)


def as_html(invoices: Sequence[Invoice]) -> str:
    """One self-contained page: no script and nothing from elsewhere; every value is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("invoice.html.j2")
    return template.render(invoices=invoices, money=written, unit=unit, rule=RULE)


def _what(line: InvoiceLine) -> str:
    counted = unit(line.unit)
    what = f"{line.deployment} {line.price_version} tier {line.tier}  "
    what += f"{counted.quantity(line.quantity)} {counted.name}"
    if line.hour is None:
        return what
    return f"{what} [{line.hour:%Y-%m-%dT%H} {line.reason}; run {line.run_id}]"


def _row(invoice: Invoice, line: InvoiceLine) -> tuple[object, ...]:
    return (
        invoice.id, invoice.month, invoice.org, invoice.currency, line.number, line.kind, line.deployment,
        line.unit, line.price_version, line.tier, line.price_pico, line.quantity, f"{line.cost:f}",
        written(line.amount_minor, invoice.minor_digits), line.month,
        "" if line.hour is None else line.hour.isoformat(), line.reason or "", line.run_id or "",
        "" if line.adjustment is None else line.adjustment,
    )  # fmt: skip


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula is told to be text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+@" and value else value

"""What other billing systems import: Stripe's invoice items and meter events, Lago's events.

Belongs here: one pure function per format. Does not: sending them (they are somebody else's to send), taxes.

Formats: Stripe `POST /v1/invoiceitems` (amount: integer in the currency's smallest unit, currency in lower
case, period in Unix seconds) and `POST /v1/billing/meter_events` (event_name, payload with strings,
identifier of at most 100 characters, timestamp in Unix seconds); Lago `POST /api/v1/events/batch` (at most
100 events a request, transaction_id, external_subscription_id, code, timestamp, properties).
Their identifiers are stable, so that what is imported twice counts once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from slipway.billing.months import end_of, start_of
from slipway.records.invoices import Invoice, InvoiceLine

_LAGO_BATCH = 100
# Stripe takes these in hundredths although ISO 4217 gives them no minor unit.
_STRIPE_DIGITS = {"ISK": 2, "UGX": 2}


def stripe_invoice_items(invoices: Sequence[Invoice]) -> list[dict[str, Any]]:
    """The bodies of `POST /v1/invoiceitems`, one per line that is not zero, with an `idempotency_key` each.

    `customer` is the organisation's name: map it to Stripe's customer.
    """
    return [
        {
            "idempotency_key": _identifier(invoice, line),
            "customer": invoice.org,
            "currency": invoice.currency.lower(),
            "amount": line.amount_minor * 10 ** (_stripe_digits(invoice) - invoice.minor_digits),
            "description": _description(line),
            "period": {
                "start": int(start_of(line.month).timestamp()),
                "end": int(end_of(line.month).timestamp()) - 1,
            },
            "metadata": _metadata(invoice, line),
        }
        for invoice in invoices
        for line in invoice.lines
        if line.amount_minor
    ]


def stripe_meter_events(invoices: Sequence[Invoice]) -> list[dict[str, Any]]:
    """The bodies of `POST /v1/billing/meter_events`: a quantity per line of usage; Stripe prices it.

    Stripe takes events of the past 35 days alone, and no adjustment of less: those go as invoice items.
    """
    return [
        {
            "event_name": f"slipway_{line.unit}",
            "identifier": _identifier(invoice, line),
            "timestamp": int(end_of(invoice.month).timestamp()) - 1,
            "payload": {
                "stripe_customer_id": invoice.org,
                "value": str(line.quantity),
                "deployment": line.deployment,
            },
        }
        for invoice in invoices
        for line in invoice.lines
        if line.kind == "usage"
    ]


def lago_event_batches(invoices: Sequence[Invoice]) -> list[dict[str, Any]]:
    """The bodies of `POST /api/v1/events/batch`. `precise_total_amount_cents` is for dynamic charges."""
    events = [
        {
            "transaction_id": _identifier(invoice, line),
            "external_subscription_id": invoice.org,
            "code": f"slipway_{line.unit}",
            "timestamp": int(end_of(invoice.month).timestamp()) - 1,
            "precise_total_amount_cents": str(line.amount_minor),
            "properties": {**_metadata(invoice, line), "quantity": str(line.quantity)},
        }
        for invoice in invoices
        for line in invoice.lines
    ]
    return [{"events": events[start : start + _LAGO_BATCH]} for start in range(0, len(events), _LAGO_BATCH)]


def _stripe_digits(invoice: Invoice) -> int:
    return _STRIPE_DIGITS.get(invoice.currency, invoice.minor_digits)


def _identifier(invoice: Invoice, line: InvoiceLine) -> str:
    """Stable, and within 100 characters whatever the organisation is called."""
    name = f"{invoice.id}-{line.number}"
    return name if len(name) <= 100 else hashlib.sha256(name.encode()).hexdigest()


def _description(line: InvoiceLine) -> str:
    what = f"{line.deployment}: {line.quantity} {line.unit} at {line.price_version}, tier {line.tier}"
    return what if line.hour is None else f"{what}; adjustment of {line.hour:%Y-%m-%dT%HZ}: {line.reason}"


def _metadata(invoice: Invoice, line: InvoiceLine) -> dict[str, str]:
    """Texts of at most 500 characters under keys of at most 40, as Stripe asks for."""
    plain = {
        "invoice": invoice.id, "line": str(line.number), "kind": line.kind, "deployment": line.deployment,
        "unit": line.unit, "price_version": line.price_version, "tier": str(line.tier),
        "exact_cost": f"{line.cost:f}", "run": line.run_id or "",
    }  # fmt: skip
    return {name: value[:500] for name, value in plain.items() if value}

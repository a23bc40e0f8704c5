"""`slipway month ...` and `slipway invoice ...`: closing months, and what they owe.

Belongs here: arguments, printing. Does not: doing the work (slipway.control.billing).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.environment import Environment

if TYPE_CHECKING:
    from slipway.control.connections import Connections
    from slipway.records.invoices import Invoice

FORMATS = ("text", "json", "csv", "html", "stripe-invoice-items", "stripe-meter-events", "lago-events")


@click.group()
def month() -> None:
    """Months of billing: closing one, and which are closed."""


@month.command("close")
@click.argument("month")
def month_close(month: str) -> None:
    """Close MONTH (such as 2026-10) and make its invoices. It cannot be undone.

    What holds the month up is said, each hour and check. The same command completes what was interrupted.
    """
    from slipway.control import billing

    closed = billing.close(_connected(), month, f"close-{uuid.uuid4()}", datetime.now(UTC), _say)
    when = f"{closed.record.closed_at:%Y-%m-%dT%H:%MZ}"
    click.echo(f"{month}: closed" if closed.anew else f"{month}: was closed at {when} already")
    _print_totals(closed.invoices)


@month.command("list")
def month_list() -> None:
    """Every closed month, and the months that have usage to bill."""
    from slipway.control import billing

    at = _connected()
    for closed in billing.closed_months(at):
        click.echo(
            f"{closed.month}  closed {closed.closed_at:%Y-%m-%dT%H:%MZ}  {len(closed.lines)} with usage"
        )
    for name in billing.open_months(at):
        click.echo(f"{name}  open")


@month.command("show")
@click.argument("month")
def month_show(month: str) -> None:
    """The invoices of a closed MONTH, or what holds the closing of an open one up."""
    from slipway.billing.money import written
    from slipway.control import billing

    at = _connected()
    if (closed := billing.closed_month(at, month)) is None:
        reasons = billing.held_up(at, month, datetime.now(UTC))
        click.echo(f"{month}: open" if reasons else f"{month}: open, and can be closed")
        for reason in reasons:
            click.echo(f"    {reason}")
        return
    click.echo(f"{month}: closed {closed.closed_at:%Y-%m-%dT%H:%MZ} by run {closed.run_id}")
    invoices = billing.all_invoices(at, month)
    for invoice in invoices:
        amount = f"{written(invoice.total_minor, invoice.minor_digits)} {invoice.currency}"
        click.echo(f"    {invoice.id}  {len(invoice.lines)} lines  {amount}")
    _print_totals(invoices)


@month.command("deliver")
@click.argument("month")
def month_deliver(month: str) -> None:
    """Tell SLIPWAY_INVOICE_WEBHOOK_URL of every invoice of MONTH that it has not taken yet."""
    from slipway.control import billing

    told, before = billing.deliver(_connected(), month, _say)
    click.echo(f"{month}: {told} invoices delivered, {before} were before")


@click.command()
@click.argument("org")
@click.argument("month")
@click.option("--currency", help="Of several invoices of the month, the one in this currency.")
@click.option("--draft", is_flag=True, help="What the invoice would be now, while the month is open.")
@click.option("-o", "output", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
def invoice(org: str, month: str, currency: str | None, draft: bool, output: str, out: Path | None) -> None:
    """What ORG owes for MONTH, such as `slipway invoice acme 2026-10`."""
    from slipway.control import billing

    invoices = billing.invoices_of(_connected(), org, month, datetime.now(UTC), draft=draft)
    chosen = [each for each in invoices if currency in (None, each.currency)]
    if not chosen:
        others = ", ".join(each.currency for each in invoices)
        raise click.ClickException(f"{org} has no invoice in {currency} for {month}, but in {others}.")
    text = _formatted(output)(chosen)
    if out is None:
        click.echo(text)
    else:
        out.write_text(text if text.endswith("\n") else f"{text}\n")
        click.echo(f"{out}: {', '.join(each.id for each in chosen)}", err=True)


def _formatted(output: str) -> Callable[[Sequence[Invoice]], str]:
    from slipway.billing import exports, rendering

    as_lines = {
        "stripe-invoice-items": exports.stripe_invoice_items,
        "stripe-meter-events": exports.stripe_meter_events,
        "lago-events": exports.lago_event_batches,
    }
    if output in as_lines:
        return lambda invoices: "\n".join(json.dumps(each) for each in as_lines[output](invoices))
    return {
        "text": rendering.as_text,
        "json": rendering.as_json,
        "csv": rendering.as_csv,
        "html": rendering.as_html,
    }[output]


def _print_totals(invoices: Sequence[Invoice]) -> None:
    from slipway.billing.invoicing import totals
    from slipway.billing.money import minor_digits, written

    amounts = [
        f"{written(total, minor_digits(currency))} {currency}" for currency, total in totals(invoices).items()
    ]
    click.echo(f"{len(invoices)} invoices, {', '.join(amounts) or 'nothing'}")


def _connected() -> Connections:
    from slipway.control.connections import Connections

    at = Connections(Environment.load())
    at.store.location  # noqa: B018 - where there is no stack, that is said before a directory is made
    return at


def _say(line: str) -> None:
    click.echo(line, err=True)

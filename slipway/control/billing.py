"""Billing as it is run: a month closed, its invoices made and told, closed months compared with what is.

Belongs here: the steps of each, in order, over the warehouse and the store.
Does not: what a month owes, how it is rounded, how an invoice looks (slipway.billing).

The record of the closed month is the one instant that counts. What goes before it can be done again; what
comes after follows from it, so that whatever is interrupted is completed by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from slipway.billing import adjusting, invoicing, readiness, tables, webhook
from slipway.billing.adjusting import Compared
from slipway.billing.months import end_of, hours_of, month_of, start_of
from slipway.billing.readiness import Facts, NotReadyError
from slipway.billing.webhook import DeliveryError, Receiver
from slipway.control.connections import Connections
from slipway.environment import MissingSettingError
from slipway.metering import publish
from slipway.metering.checks import evaluate
from slipway.metering.fingerprint import shipped_to
from slipway.records import usage
from slipway.records.adjustments import Adjustments
from slipway.records.closed_months import ClosedMonth, ClosedMonths
from slipway.records.invoices import Invoice, Invoices

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Say = Callable[[str], None]

_GIVEN_UP_AFTER = 3  # invoices that one delivery did not get rid of: the receiver is away


class InvoiceError(LookupError):
    """There is no such invoice; the message says why, and what to do."""


class ChangedError(RuntimeError):
    """The warehouse changed while it was checked; nothing was closed, and it can be tried again."""

    retriable = True


@dataclass(frozen=True)
class Closed:
    """A closed month and its invoices; `anew` is False where it had been closed before."""

    record: ClosedMonth
    invoices: tuple[Invoice, ...]
    anew: bool

    @property
    def totals(self) -> Mapping[str, int]:
        """The sum of the invoices by currency, in minor units."""
        return invoicing.totals(self.invoices)


def close(at: Connections, month: str, run_id: str, now: datetime, say: Say) -> Closed:
    """Close the month and make its invoices; complete that where it was closed before. It cannot be undone.

    Raises MonthError, NotReadyError with all that holds it up, KeptBillingError, ObjectStoreError,
    WarehouseError, and ChangedError when a rollup came between.
    """
    start_of(month)
    before = ClosedMonths(at.store).get(month)
    record = before or _close(at, month, run_id, now, say)
    made = complete(at, record)
    say(f"{len(made)} invoices of {month}")
    return Closed(record, tuple(made), before is None and record.run_id == run_id)


def complete(at: Connections, record: ClosedMonth) -> list[Invoice]:
    """Make those invoices of a closed month that are not there, and publish all. Raises as `close`."""
    with at.warehouse.writing() as connection:
        made = restore(at, connection, [record])
    publish.publish_copy(at.warehouse)
    return made


def restore(
    at: Connections, connection: DuckDBPyConnection, records: Iterable[ClosedMonth] | None = None
) -> list[Invoice]:
    """Bring the tables to what S3 keeps, with the invoices of these months, or of all; the caller writes."""
    closed = tables.bring(at.store, connection)
    made: list[Invoice] = []
    for record in closed if records is None else records:
        wanted = _invoices(connection, closed, record)
        for invoice in tables.missing(at.store, record.month, wanted):
            Invoices(at.store).keep(invoice)
        made += tables.bring_invoices(at.store, connection, record.month)
    return made


def adjust(at: Connections, hours: Sequence[datetime], run_id: str, now: datetime, say: Say) -> None:
    """After a rollup: what closed months among these hours are rated otherwise now becomes adjustments."""
    closed = ClosedMonths(at.store).all()
    if closed and min(hours, default=end_of(closed[-1].month)) < end_of(closed[-1].month):
        with at.warehouse.writing() as connection:
            _say_compared(adjusting.compare(at.store, connection, run_id, now, hours), say)


def closed_months(at: Connections) -> list[ClosedMonth]:
    """Every closed month, in order."""
    return ClosedMonths(at.store).all()


def closed_month(at: Connections, month: str) -> ClosedMonth | None:
    """One closed month; None while it is open. Raises MonthError."""
    start_of(month)
    return ClosedMonths(at.store).get(month)


def open_months(at: Connections) -> list[str]:
    """Months that have anything to bill and are not closed, in order."""
    closed = {each.month for each in closed_months(at)}
    with at.warehouse.writing() as connection:
        return [month for month in tables.months_with_cost(connection) if month not in closed]


def held_up(at: Connections, month: str, now: datetime) -> list[str]:
    """What holds the closing of an open month up, as of now."""
    early = readiness.not_over(month, now)
    if early is not None:
        return [early]
    publish.publish_copy(at.warehouse)
    with at.warehouse.locked():
        return readiness.holds_up(_facts(at, month, now))


def invoices_of(at: Connections, org: str, month: str, now: datetime, *, draft: bool) -> list[Invoice]:
    """The invoices of an organisation for a month, one per currency; as they would be now for a draft.

    Raises InvoiceError for an organisation without, or an unfinished month that is not asked as a draft.
    """
    record = closed_month(at, month)
    if record is None and not draft:
        early = readiness.not_over(month, now)
        why = early or f"{month} is not closed"
        raise InvoiceError(
            f"no invoice of {org} for {month}: {why}. `slipway month close {month}` closes it, --draft shows "
            "what it would be now."
        )
    if record is None and now < start_of(month):
        raise InvoiceError(f"no draft of {org} for {month}: {month} is in the future.")
    made = Invoices(at.store).of(month, org) if record is not None else _drafts(at, org, month)
    if not made:
        raise InvoiceError(_nothing(at, org, month))
    return made


def all_invoices(at: Connections, month: str) -> list[Invoice]:
    """Every invoice of a closed month. Raises InvoiceError while it is open."""
    if closed_month(at, month) is None:
        raise InvoiceError(f"{month} is not closed. `slipway month close {month}` closes it.")
    return Invoices(at.store).of(month)


def _close(at: Connections, month: str, run_id: str, now: datetime, say: Say) -> ClosedMonth:
    early = readiness.not_over(month, now)
    if early is not None:
        raise NotReadyError(f"{month} cannot be closed: {early}. Nothing was changed.")
    publish.publish_copy(at.warehouse)
    with at.warehouse.locked():  # nobody rolls up or publishes between the checks and the record
        reasons = readiness.holds_up(_facts(at, month, now))
        if reasons:
            listed = "".join(f"\n  {reason}" for reason in reasons)
            raise NotReadyError(f"{month} cannot be closed yet; nothing was changed:{listed}")
        say(f"every hour of {month} is final, and the checks pass")
        with at.warehouse.opened() as connection:
            with at.metered.reading() as copy:
                if tables.rolled_up(connection) != tables.rolled_up(copy):
                    raise ChangedError(f"{month}: hours were rolled up while it was checked. Run this again.")
            _say_compared(adjusting.compare(at.store, connection, run_id, now), say)
            months = ClosedMonths(at.store)
            digests = months.keep_lines(month, tables.lines(connection, month))
            up_to = Adjustments(at.store).last_number()
            return months.close(ClosedMonth(month, now, run_id, up_to, digests))


def _facts(at: Connections, month: str, now: datetime) -> Facts:
    with at.metered.reading() as copy:
        rolled_up = tables.rolled_up(copy)
        months = tables.months_with_cost(copy)
    with_usage, _ = usage.hours(at.store)
    first = min([*with_usage, *rolled_up], default=None)
    # Before the first usage of all, nothing ran that could have been rolled up.
    wanted = [hour for hour in hours_of(month) if first is not None and hour >= first]
    shipped = shipped_to(at.store, sorted(set(wanted) & {*with_usage}))
    closed = closed_months(at)
    last = closed[-1].month if closed else None
    return Facts(month, now, last, months, wanted, rolled_up, shipped, evaluate(at.metered, wanted))


def _invoices(
    connection: DuckDBPyConnection, closed: Sequence[ClosedMonth], record: ClosedMonth
) -> list[Invoice]:
    after = max((each.adjustments_up_to for each in closed if each.month < record.month), default=0)
    corrections = tables.corrections(connection, after, record.adjustments_up_to)
    return invoicing.invoices(
        record.month, record.closed_at, tables.used(connection, record.month), corrections
    )


def _drafts(at: Connections, org: str, month: str) -> list[Invoice]:
    with at.warehouse.writing() as connection:
        closed = tables.bring(at.store, connection)
        after = closed[-1].adjustments_up_to if closed else 0
        is_next = not closed or month == month_of(end_of(closed[-1].month))
        corrections = tables.corrections(connection, after, 2**62) if is_next else []
        used = invoicing.summed(tables.lines(connection, month))
    made = invoicing.invoices(month, None, used, corrections)
    return [invoice for invoice in made if invoice.org == org]


def _nothing(at: Connections, org: str, month: str) -> str:
    with at.warehouse.writing() as connection:
        rows = connection.execute("SELECT count(*) FROM usage_hourly WHERE org = $org", {"org": org})
        (count,) = rows.fetchone() or (0,)
    if count:
        return f"no invoice of {org} for {month}: nothing that it used in that month has a price."
    return (
        f"no invoice of {org} for {month}: no organisation of that name has ever used anything. "
        f"`slipway month show {month}` lists those with an invoice."
    )


def _say_compared(compared: Compared, say: Say) -> None:
    if compared.adjusted is not None:
        say(f"{len(compared.adjusted.rows)} adjustments of closed months (number {compared.adjusted.number})")
    for month, hours in compared.not_compared.items():
        say(f"{month} was not compared with its bills: {len(hours)} of its hours are not rolled up here")
    for month, org in sorted(compared.withheld):
        say(
            f"{month}: {org} has less usage than was billed, and is not credited for it: usage "
            "objects of the month were lost. Restore them from a backup, then roll these hours up again."
        )


def receiver(at: Connections) -> Receiver | None:
    """Who is told of invoices; None where nobody is. Raises MissingSettingError for one without a secret."""
    url = at.environment.get("SLIPWAY_INVOICE_WEBHOOK_URL")
    return Receiver(url, at.environment.require("SLIPWAY_INVOICE_WEBHOOK_SECRET")) if url else None


def deliver(at: Connections, month: str, say: Say) -> tuple[int, int]:
    """Tell the receiver of every invoice of a closed month that it has not taken: (told, told before).

    One that it does not take keeps none of the others back. Raises DeliveryError with all of those, and
    InvoiceError for an open month.
    """
    told_to = receiver(at)
    if told_to is None:
        raise MissingSettingError("SLIPWAY_INVOICE_WEBHOOK_URL", "to the address that takes invoices")
    invoices, kept = all_invoices(at, month), Invoices(at.store)
    told, problems = 0, []
    for invoice in invoices:
        try:
            told += webhook.deliver(kept, invoice, told_to, lambda: datetime.now(UTC))
        except DeliveryError as error:
            problems.append(str(error))
            say(str(error))
            if len(problems) == _GIVEN_UP_AFTER:
                break
    if problems:
        raise DeliveryError("\n".join(problems))
    return told, len(invoices) - told

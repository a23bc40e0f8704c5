"""The warehouse's tables of billing: copies of what S3 keeps, brought before they are used.

Belongs here: rows in and out of DuckDB.
Does not: the objects (slipway.records), what follows from the rows (invoicing.py, adjusting.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.billing.invoicing import Correction, LineKey, Used
from slipway.billing.months import end_of, start_of
from slipway.metering.staleness import RolledUp
from slipway.metering.warehouse import sql, transaction
from slipway.objectstore import ObjectStore
from slipway.records.adjustments import Adjusted, Adjustments
from slipway.records.closed_months import BilledLine, ClosedMonth, ClosedMonths
from slipway.records.invoices import Invoice, Invoices, key_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLES = ("closed_month", "closed_line", "usage_adjustment", "invoice", "invoice_line")

# The types that DuckDB cannot tell from a list that may be empty or hold only None.
_TYPES = {
    "hour": "TIMESTAMPTZ", "closed_at": "TIMESTAMPTZ", "made_at": "TIMESTAMPTZ", "issued_at": "TIMESTAMPTZ",
    "cost": "DECIMAL(38, 12)", "tier": "INTEGER", "minor_digits": "INTEGER",
    **dict.fromkeys(
        ("adjustments_up_to", "price_pico", "quantity", "number", "total_minor", "lines", "amount_minor",
         "adjustment"), "BIGINT",
    ),
}  # fmt: skip
_LINE = (
    "hour", "deployment", "model", "unit", "price_version", "tier", "price_pico", "currency", "quantity",
    "cost",
)  # fmt: skip


def bring(store: ObjectStore, connection: DuckDBPyConnection) -> list[ClosedMonth]:
    """Bring closed months and adjustments to what S3 keeps, and return the months; the caller is the writer.

    What is there already is not read again: none of it ever changes. Raises KeptBillingError.
    """
    months = ClosedMonths(store)
    closed = months.all()
    adjustments = Adjustments(store)
    last = adjustments.last_number()
    in_file = _column(connection, "SELECT month FROM closed_month")
    numbers = _column(connection, "SELECT max(number) FROM usage_adjustment")
    if set(in_file) - {each.month for each in closed} or (numbers[0] or 0) > last:
        forget(connection)  # the file is of another store
        in_file, numbers = [], [0]
    for month in closed:
        if month.month not in in_file:
            _add_month(connection, month, months)
    for adjusted in adjustments.after(numbers[0] or 0):
        add_adjusted(connection, adjusted)
    return closed


def bring_invoices(store: ObjectStore, connection: DuckDBPyConnection, month: str) -> list[Invoice]:
    """Bring the invoices of a month to what S3 keeps, and return them. Raises KeptBillingError."""
    invoices = Invoices(store).of(month)
    with transaction(connection):
        connection.execute(
            "DELETE FROM invoice_line WHERE invoice IN (SELECT invoice FROM invoice WHERE month = $month)",
            {"month": month},
        )
        connection.execute("DELETE FROM invoice WHERE month = $month", {"month": month})
        _insert(
            connection,
            "invoice",
            ("invoice", "month", "org", "currency", "minor_digits", "issued_at", "total_minor", "lines"),
            [
                (each.id, each.month, each.org, each.currency, each.minor_digits, each.issued_at,
                 each.total_minor, len(each.lines))
                for each in invoices
            ],
        )  # fmt: skip
        _insert(
            connection,
            "invoice_line",
            ("invoice", "number", "kind", "deployment", "unit", "price_version", "tier", "price_pico",
             "quantity", "cost", "amount_minor", "month", "hour", "reason", "run_id", "adjustment"),
            [
                (each.id, line.number, line.kind, line.deployment, line.unit, line.price_version, line.tier,
                 line.price_pico, line.quantity, f"{line.cost:f}", line.amount_minor, line.month, line.hour,
                 line.reason, line.run_id, line.adjustment)
                for each in invoices for line in each.lines
            ],
        )  # fmt: skip
    return invoices


def forget(connection: DuckDBPyConnection) -> None:
    """Empty all tables of billing, so that they are brought anew."""
    with transaction(connection):
        for table in TABLES:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608


def missing(store: ObjectStore, month: str, wanted: Iterable[Invoice]) -> list[Invoice]:
    """Those of the wanted invoices of a month that S3 does not keep yet."""
    kept = set(Invoices(store).keys(month))
    return [each for each in wanted if key_of(each) not in kept]


def lines(connection: DuckDBPyConnection, month: str) -> dict[str, list[BilledLine]]:
    """What is billed of an open month as it is rated now, by organisation."""
    span = {"since": start_of(month), "until": end_of(month)}
    by_org: dict[str, list[BilledLine]] = {}
    for org, hour, *columns in connection.execute(sql("billing_lines"), span).fetchall():
        by_org.setdefault(org, []).append(BilledLine(hour.astimezone(UTC), *columns))
    return by_org


def months_with_cost(connection: DuckDBPyConnection) -> list[str]:
    """Every month with anything that is billed, in order."""
    return _column(connection, sql("billing_months"))


def used(connection: DuckDBPyConnection, month: str) -> list[Used]:
    """What a closed month's invoices are made of."""
    rows = connection.execute(sql("billing_used"), {"month": month}).fetchall()
    return [
        Used(org, currency, LineKey(*key), quantity, cost) for org, currency, *key, quantity, cost in rows
    ]


def corrections(connection: DuckDBPyConnection, after: int, up_to: int) -> list[Correction]:
    """The adjustments with a number above `after` and at most `up_to`, as an invoice carries them."""
    rows = connection.execute(sql("billing_corrections"), {"after": after, "up_to": up_to}).fetchall()
    made = []
    for org, currency, *key, month, hour, number, reason, run_id, quantity, cost, before in rows:
        at = hour.astimezone(UTC)
        made.append(
            Correction(
                org, currency, LineKey(*key), month, at, number, quantity, cost, reason, run_id, before
            )
        )
    return made


def add_adjusted(connection: DuckDBPyConnection, adjusted: Adjusted) -> None:
    """Copy one object of adjustments."""
    with transaction(connection):
        _insert(
            connection,
            "usage_adjustment",
            ("number", "month", "org", *_LINE, "reason", "run_id", "made_at"),
            [
                (adjusted.number, row.month, row.org, *_values(row.line), row.reason, adjusted.run_id,
                 adjusted.made_at)
                for row in adjusted.rows
            ],
        )  # fmt: skip


def _add_month(connection: DuckDBPyConnection, month: ClosedMonth, months: ClosedMonths) -> None:
    kept = months.lines(month)
    with transaction(connection):
        _insert(
            connection,
            "closed_line",
            ("month", "org", *_LINE),
            [(month.month, org, *_values(line)) for org, of_org in kept.items() for line in of_org],
        )
        _insert(
            connection,
            "closed_month",
            ("month", "closed_at", "run_id", "adjustments_up_to"),
            [(month.month, month.closed_at, month.run_id, month.adjustments_up_to)],
        )


def _values(line: BilledLine) -> tuple[Any, ...]:
    return (
        line.hour, line.deployment, line.model, line.unit, line.price_version, line.tier, line.price_pico,
        line.currency, line.quantity, f"{line.cost:f}",
    )  # fmt: skip


def _insert(
    connection: DuckDBPyConnection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows as lists of columns: one statement for any number. Costs are strings of decimals."""
    if not rows:
        return
    values = {name: list(column) for name, column in zip(columns, zip(*rows, strict=True), strict=True)}
    chosen = ", ".join(
        f"unnest(${name}::VARCHAR[])::{_TYPES[name]}"
        if name == "cost"
        else f"unnest(${name}::{_TYPES.get(name, 'VARCHAR')}[])"
        for name in columns
    )
    connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen}", values)


def _column(connection: DuckDBPyConnection, statement: str) -> list[Any]:
    return [row[0] for row in connection.execute(statement).fetchall()]


def rolled_up(connection: DuckDBPyConnection) -> dict[datetime, RolledUp]:
    """What each hour was rolled up from, and whether it was over by then."""
    rows = connection.execute("SELECT hour, input_fingerprint, objects, final FROM rollup_run").fetchall()
    return {hour.astimezone(UTC): RolledUp(*others) for hour, *others in rows}

"""Prices over time: from the catalog's price books to rows with intervals, and what may still change.

Belongs here: pure functions from (catalog, rows in the warehouse, now) to rows, and the append-only rule.
Does not: the price table itself (price_table.py), multiplying (sql/usage_hourly.sql).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from slipway.catalog import Catalog, PriceBook

_MICRO = 1_000_000
_LARGEST_PRICE_PICO = 2**63 - 1  # a BIGINT


class ClosedPriceError(ValueError):
    """A price that was in force in a closed month would change; the message lists every such change."""


class PriceBookError(ValueError):
    """A price book that cannot be turned into intervals; the message names book, entry and remedy."""


@dataclass(frozen=True, order=True)
class PriceRow:
    """One price of one deployment, in force in [effective_from, effective_to) for `org`, or for all others.

    Prices are pico-units of the currency per token, which is micro-units per 1M tokens. `assigned_from` is
    set where the deployment came to this book from another one (or from none), and then is that instant.
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

    @property
    def version(self) -> str:
        """Stable name of this price, such as `standard@2026-01-01T00:00:00Z` or `standard/acme@...`."""
        scope = self.book if self.org is None else f"{self.book}/{self.org}"
        return f"{scope}@{_text(self.effective_from)}"

    def covers(self, at: datetime) -> bool:
        """Whether the price is in force at an instant."""
        return self.effective_from <= at and (self.effective_to is None or at < self.effective_to)

    def terms(self) -> dict[str, str]:
        """What a tenant pays under this price, by field, as the catalog writes it."""
        return {
            "input": _per_million(self.input_pico),
            "cached_input": _per_million(self.cached_pico),
            "output": _per_million(self.output_pico),
            "currency": self.currency,
            "bill_failed": self.bill_failed,
        }


@dataclass(frozen=True)
class PriceSchedule:
    """What the catalog says one deployment costs; `book` None and no rows when it is not billed."""

    deployment: str
    book: str | None
    rows: tuple[PriceRow, ...] = ()


def schedules(catalog: Catalog) -> tuple[PriceSchedule, ...]:
    """The price schedule of every deployment. Raises PriceBookError, and KeyError for an unknown book."""
    return tuple(
        PriceSchedule(deployment.name, None)
        if deployment.price is None
        else PriceSchedule(
            deployment.name,
            deployment.price,
            _rows(deployment.name, catalog.price_book(deployment.price)),
        )
        for deployment in catalog.deployments
    )


def merge(
    existing: Sequence[PriceRow], wanted: Iterable[PriceSchedule], now: datetime
) -> tuple[PriceRow, ...]:
    """The price table that holds what is wanted from `now` on without forgetting what was.

    A deployment that keeps its book takes all of the book's entries. One that changes its book, gets one or
    loses it does so at `now`: a deployment's reference has no date of its own. Rows of deployments that the
    catalog no longer has stay: their usage is rated until it ends.
    """
    rows_of = _by_deployment(existing)
    for schedule in wanted:
        rows_of[schedule.deployment] = _merged(rows_of[schedule.deployment], schedule, now)
    return tuple(sorted((row for rows in rows_of.values() for row in rows), key=_order))


def check_append_only(
    existing: Sequence[PriceRow], wanted: Sequence[PriceRow], closed_before: datetime
) -> None:
    """Refuse a table that changes a price which was in force before `closed_before`, the open month's start.

    `wanted` is a whole table, as `merge` makes it. Raises ClosedPriceError naming each book, entry and value.
    """
    before, after = _by_deployment(existing), _by_deployment(wanted)
    problems = [
        problem
        for deployment in sorted(before)
        for problem in _changes(before[deployment], after[deployment], closed_before)
    ]
    if problems:
        raise ClosedPriceError("\n".join(problems))


def month_start(instant: datetime) -> datetime:
    """First instant of the month (UTC) that an instant belongs to; months before it are closed."""
    return instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def in_force(rows: Iterable[PriceRow], org: str | None, at: datetime) -> PriceRow | None:
    """The price for an org at an instant: its own, else the general one, else None."""
    covering = {row.org: row for row in rows if row.covers(at) and row.org in (None, org)}
    return covering.get(org) or covering.get(None)


def _by_deployment(rows: Iterable[PriceRow]) -> defaultdict[str, list[PriceRow]]:
    rows_of: defaultdict[str, list[PriceRow]] = defaultdict(list)
    for row in rows:
        rows_of[row.deployment].append(row)
    return rows_of


def _rows(deployment: str, book: PriceBook) -> tuple[PriceRow, ...]:
    rows: list[PriceRow] = []
    for org in sorted({price.org for price in book.prices}, key=lambda name: name or ""):
        entries = sorted((p for p in book.prices if p.org == org), key=lambda p: p.effective_from)
        starts = [entry.effective_from for entry in entries]
        for entry, until in zip(entries, [*starts[1:], None], strict=True):
            if until == entry.effective_from:
                raise PriceBookError(
                    f"price book {book.name}: two entries with effective_from = {_text(until)}"
                    f"{f' and org = {org}' if org else ''}. Keep one, or give the newer one a later instant."
                )
            rows.append(
                PriceRow(
                    deployment, org, entry.effective_from, until, book.name,
                    _pico(book, "input", entry.input), _pico(book, "cached_input", entry.cached_input),
                    _pico(book, "output", entry.output), book.currency, book.bill_failed,
                )
            )  # fmt: skip
    return tuple(rows)


def _pico(book: PriceBook, field: str, per_million: Decimal) -> int:
    pico = int(per_million * _MICRO)
    if pico > _LARGEST_PRICE_PICO:
        raise PriceBookError(
            f"price book {book.name}: {field} = {per_million}: larger than "
            f"{_per_million(_LARGEST_PRICE_PICO)}. Write the price per 1M tokens."
        )
    return pico


def _merged(existing: list[PriceRow], schedule: PriceSchedule, now: datetime) -> list[PriceRow]:
    current = next((row for row in existing if row.effective_to is None), None)
    if not existing:
        return list(schedule.rows)
    if current is not None and current.book == schedule.book:
        tenure = (current.book, current.assigned_from)
        earlier = [row for row in existing if (row.book, row.assigned_from) != tenure]
        return earlier + _starting(schedule.rows, current.assigned_from)
    return _ending(existing, now) + _starting(schedule.rows, now)


def _starting(rows: Iterable[PriceRow], since: datetime | None) -> list[PriceRow]:
    if since is None:
        return list(rows)
    return [
        replace(row, effective_from=max(row.effective_from, since), assigned_from=since)
        for row in rows
        if row.effective_to is None or row.effective_to > since
    ]


def _ending(rows: Iterable[PriceRow], until: datetime) -> list[PriceRow]:
    return [
        replace(row, effective_to=min(row.effective_to or until, until))
        for row in rows
        if row.effective_from < until
    ]


def _changes(before: list[PriceRow], after: list[PriceRow], closed_before: datetime) -> list[str]:
    """One message per price that was in force at some closed instant and is another one now.

    Both tables are constant between the instants at which any row begins or ends, so these suffice.
    """
    instants = {row.effective_from for row in (*before, *after)}
    instants |= {row.effective_to for row in (*before, *after) if row.effective_to is not None}
    messages: dict[str, None] = {}
    for org in sorted({row.org for row in (*before, *after)}, key=lambda name: name or ""):
        for at in sorted(instant for instant in instants if instant < closed_before):
            was, now = in_force(before, org, at), in_force(after, org, at)
            if was is not None and (now is None or now.terms() != was.terms()):
                messages[_change(was, now, closed_before)] = None
    return list(messages)


def _change(was: PriceRow, now: PriceRow | None, closed_before: datetime) -> str:
    entry = f"price book {was.book}, entry {was.version} (deployment {was.deployment})"
    if now is None:
        change = "the catalog no longer has it"
    else:
        terms = now.terms()
        differences = [
            f"{field} = {terms[field]} in the catalog ({now.version}), {value} was in force"
            for field, value in was.terms().items()
            if terms[field] != value
        ]
        change = "; ".join(differences)
    return (
        f"{entry}: {change} in a closed month. Restore the entry, and add a new one with "
        f"effective_from at or after {_text(closed_before)}."
    )


def _order(row: PriceRow) -> tuple[str, str, datetime]:
    return (row.deployment, row.org or "", row.effective_from)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _per_million(pico: int) -> str:
    return format((Decimal(pico) / _MICRO).normalize(), "f")

"""Prices over time: from the catalog's price books to rows with intervals, and what may still change.

Belongs here: pure functions from (catalog, rows taken before, now) to rows, and the append-only rule.
Does not: where rows are kept (slipway.records.price_history), the table that rating joins (price_table.py),
multiplying (sql/usage_hourly.sql).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise, product
from typing import Any

from slipway.catalog import Catalog, PriceBook
from slipway.catalog.documents import Price
from slipway.catalog.price_volumes import PRICE_OF
from slipway.records.price_history import (
    ALL_PRICES,
    UNIT_PRICES,
    PriceRow,
    UnitPrice,
    UnitTiers,
    instant_text,
)

_LARGEST_PRICE_PICO = 2**63 - 1  # a BIGINT

Span = tuple[datetime, datetime | None]  # from the first instant to before the second; None: for ever


class ClosedPriceError(ValueError):
    """A price that was in force in a closed month would change; the message lists every such change."""


class PriceBookError(ValueError):
    """A price book that cannot be turned into intervals; the message names book, entry and remedy."""


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

    A deployment that keeps its book takes all of the book's entries. One that changes its book, gets its
    first or loses it does so at `now`: a deployment's reference has no date of its own. Where no price was in
    force before `now`, none comes into force: what was served for free stays free. Rows of deployments that
    the catalog no longer has stay: their usage is rated until it ends.
    """
    rows_of = _by_deployment(existing)
    for schedule in wanted:
        before = rows_of[schedule.deployment]
        rows_of[schedule.deployment] = _not_backwards(before, _merged(before, schedule, now), now)
    return tuple(sorted((row for rows in rows_of.values() for row in rows), key=order))


def check_append_only(
    existing: Sequence[PriceRow], wanted: Sequence[PriceRow], closed_before: datetime
) -> None:
    """Refuse a table that changes a price which was in force before `closed_before`, the open month's start.

    One where none was in force is refused, too. `wanted` is a whole table, as `merge` makes it. Raises
    ClosedPriceError naming each book, entry and value.
    """
    before, after = _by_deployment(existing), _by_deployment(wanted)
    problems = [
        problem
        for deployment in sorted({*before, *after})
        for problem in _changes(before[deployment], after[deployment], closed_before)
    ]
    if problems:
        raise ClosedPriceError("\n".join(problems))


def month_start(instant: datetime) -> datetime:
    """First instant of the month (UTC) that an instant belongs to; months before it are closed."""
    return instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def in_force(
    rows: Iterable[PriceRow], org: str | None, at: datetime, model: str | None = None
) -> PriceRow | None:
    """The price for an org and a model name at an instant, else None.

    An org's own goes before all others, and among those of the same org one of the model's own before the
    one of all models: org and model, org, model, general.
    """
    covering = [
        row for row in rows if row.covers(at) and row.org in (None, org) and row.model in (None, model)
    ]
    return max(covering, key=lambda row: (row.org is not None, row.model is not None), default=None)


def _by_deployment(rows: Iterable[PriceRow]) -> defaultdict[str, list[PriceRow]]:
    rows_of: defaultdict[str, list[PriceRow]] = defaultdict(list)
    for row in rows:
        rows_of[row.deployment].append(row)
    return rows_of


def _rows(deployment: str, book: PriceBook) -> tuple[PriceRow, ...]:
    rows: list[PriceRow] = []
    for org, model in _scopes(book.prices):
        in_scope = [price for price in book.prices if (price.org, price.model) == (org, model)]
        entries = sorted(in_scope, key=lambda price: price.effective_from)
        starts = [entry.effective_from for entry in entries]
        for entry, until in zip(entries, [*starts[1:], None], strict=True):
            if until == entry.effective_from:
                raise PriceBookError(
                    f"price book {book.name}: two entries with effective_from = {instant_text(until)}"
                    f"{f' and org = {org}' if org else ''}{f' and model = {model}' if model else ''}. Keep "
                    "one, or give the newer one a later instant."
                )
            picos: dict[str, Any] = {
                unit.name: _pico(book, unit, getattr(entry, unit.term)) for unit in ALL_PRICES
            }
            rows.append(
                PriceRow(
                    deployment, org, entry.effective_from, until, book.name,
                    currency=book.currency, bill_failed=book.bill_failed,
                    model=model, tiers=_tiers(book, entry),
                    minimum_pico=None if entry.minimum_per_request is None
                    else int(entry.minimum_per_request.scaleb(12)),
                    **picos,
                )
            )  # fmt: skip
    return tuple(rows)


def _scopes(prices: Iterable[Price | PriceRow]) -> list[tuple[str | None, str | None]]:
    """Whom and which model name prices are for, each pair once."""
    return sorted(
        {(price.org, price.model) for price in prices}, key=lambda scope: [name or "" for name in scope]
    )


def _tiers(book: PriceBook, entry: Price) -> tuple[UnitTiers, ...]:
    """What depends on the month's volume, with what is free as the first tier."""
    tiered: list[UnitTiers] = []
    by_term = {price.term: price for price in ALL_PRICES}
    for volume, term in PRICE_OF.items():
        unit, free, tiers = by_term[term], entry.free_per_month.of(volume), entry.tiers.of(volume)
        if free is None and not tiers:
            continue
        begin = (free or 0) * unit.volume_units
        steps = [(0, 0)] if begin else []
        steps += [(begin, _pico(book, unit, getattr(entry, term)) or 0)]
        steps += [(tier.above * unit.volume_units, _pico(book, unit, tier.price) or 0) for tier in tiers]
        tiered.append(UnitTiers(unit.unit, tuple(steps)))
    return tuple(tiered)


def _pico(book: PriceBook, unit: UnitPrice, price: Decimal | None) -> int | None:
    pico = unit.pico(price)
    if pico is not None and pico > _LARGEST_PRICE_PICO:
        raise PriceBookError(
            f"price book {book.name}: {unit.term} = {price}: larger than "
            f"{unit.written(_LARGEST_PRICE_PICO)}. Write a smaller price."
        )
    return pico


def _merged(existing: list[PriceRow], schedule: PriceSchedule, now: datetime) -> list[PriceRow]:
    current = next((row for row in existing if row.effective_to is None), None)
    if current is not None and current.book == schedule.book:
        tenure = (current.book, current.assigned_from)
        earlier = [row for row in existing if (row.book, row.assigned_from) != tenure]
        return earlier + _starting(schedule.rows, current.assigned_from)
    return _ending(existing, now) + _starting(schedule.rows, now)


def _not_backwards(before: Sequence[PriceRow], rows: Iterable[PriceRow], now: datetime) -> list[PriceRow]:
    """The rows without what would bill instants before `now` at which nothing was in force."""
    kept: list[PriceRow] = []
    for row in rows:
        in_scope = [
            each for each in before if each.org in (None, row.org) and each.model in (None, row.model)
        ]
        spans = [*((each.effective_from, each.effective_to) for each in in_scope), (now, None)]
        for since, until in _joined(spans):
            start, end = max(row.effective_from, since), _earlier(row.effective_to, until)
            if end is None or start < end:
                kept += _unpriced_stays_free(
                    before, replace(row, effective_from=start, effective_to=end), now
                )
    return kept


def _unpriced_stays_free(before: Sequence[PriceRow], row: PriceRow, now: datetime) -> list[PriceRow]:
    """The row, without the prices of units that had none at an instant before `now`, for that instant."""
    edges = {now, *(edge for each in before for edge in (each.effective_from, each.effective_to) if edge)}
    within = sorted(edge for edge in edges if edge <= now and row.effective_from < edge and row.covers(edge))
    parts: list[PriceRow] = []
    for start, end in pairwise([row.effective_from, *within, row.effective_to]):
        assert start is not None
        was = None if start >= now else in_force(before, row.org, start, row.model)
        free = {u.name: u.unit for u in UNIT_PRICES if was is not None and getattr(was, u.name) is None}
        tiers = tuple(unit for unit in row.tiers if unit.unit not in free.values())
        part = replace(
            row,
            effective_from=start,
            effective_to=end,
            tiers=tiers,
            **dict.fromkeys(free),  # type: ignore[arg-type]
        )
        if parts and replace(part, effective_from=parts[-1].effective_from, effective_to=start) == parts[-1]:
            parts[-1] = replace(parts[-1], effective_to=end)
        else:
            parts.append(part)
    return parts


def _joined(spans: Iterable[Span]) -> list[Span]:
    """The same instants in as few spans as possible, in order."""
    joined: list[Span] = []
    for since, until in sorted(spans, key=lambda span: span[0]):
        if joined and (joined[-1][1] is None or since <= joined[-1][1]):
            start, end = joined[-1]
            joined[-1] = (start, None if end is None or until is None else max(end, until))
        else:
            joined.append((since, until))
    return joined


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two ends; None is one that never comes."""
    if one is None or other is None:
        return one or other
    return min(one, other)


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
    """One message per price that was in force at some closed instant, or was not, and is another one now.

    Both tables are constant between the instants at which any row begins or ends, so these suffice.
    """
    instants = {row.effective_from for row in (*before, *after)}
    instants |= {row.effective_to for row in (*before, *after) if row.effective_to is not None}
    messages: dict[str, None] = {}
    for org, model in _scopes_within([*before, *after]):
        for at in sorted(instant for instant in instants if instant < closed_before):
            was, now = in_force(before, org, at, model), in_force(after, org, at, model)
            if was is None and now is not None:
                messages[_filled_gap(now, at, closed_before)] = None
            elif was is not None and (now is None or now.terms() != was.terms()):
                messages[_change(was, now, closed_before)] = None
    return list(messages)


def _scopes_within(rows: Iterable[PriceRow]) -> list[tuple[str | None, str | None]]:
    """Every pair of an org and a model name whose price rows of either may decide."""
    scopes = _scopes(rows)
    orgs, models = {None, *(org for org, _ in scopes)}, {None, *(model for _, model in scopes)}
    return sorted(product(orgs, models), key=lambda scope: [name or "" for name in scope])


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
        f"effective_from at or after {instant_text(closed_before)}."
    )


def _filled_gap(now: PriceRow, at: datetime, closed_before: datetime) -> str:
    return (
        f"price book {now.book}, entry {now.version} (deployment {now.deployment}): nothing was in force at "
        f"{instant_text(at)}, in a closed month, and it would be billed. Give the entry an effective_from at "
        f"or after {instant_text(closed_before)}."
    )


def order(row: PriceRow) -> tuple[str, str, str, datetime]:
    """The order of rows in a table: by deployment, org, model and instant."""
    return (row.deployment, row.org or "", row.model or "", row.effective_from)

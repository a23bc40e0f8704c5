"""What `slipway usage`, `latency`, `cost` and reports ask: rows over a period, filtered and grouped.

Belongs here: the question's shape, checking its names, rows with money as exact decimal strings, and until
when they are complete.
Does not: the SQL (sql/ask_*.sql), periods as people write them (periods.py), printing.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from slipway.metering.periods import Period, parts
from slipway.metering.published import PublishedCopy
from slipway.metering.warehouse import sql

# Steps of time that rows may be cut by; none: one row for the whole period.
STEPS = ("hour", "day", "week", "month")
# What rows may be told apart by, in the order of their columns.
DIMENSIONS = ("org", "user", "key", "deployment", "model")
_SHOWN_NAMES = 8


class UnknownNameError(LookupError):
    """A filter names what was never metered; the message says what there is."""


@dataclass(frozen=True)
class Question:
    """A period, which names count (none given: all), how rows are cut (`by`) and told apart (`per`)."""

    period: Period
    deployments: tuple[str, ...] = ()
    orgs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    by: str | None = None
    per: tuple[str, ...] = ("org", "deployment")

    @property
    def parameters(self) -> dict[str, Any]:
        """As the queries `ask_*` take them; a filter without names is NULL."""
        return {
            "start": self.period.start,
            "end": self.period.end,
            "deployments": list(self.deployments) or None,
            "orgs": list(self.orgs) or None,
            "keys": list(self.keys) or None,
            "step": self.by,
            "per": list(self.per),
            **asdict(parts(self.period, self.by)),
        }


@dataclass(frozen=True)
class Answer:
    """Rows of plain JSON values (instants and money are text), and until when every hour is in them.

    `complete_until` None: no hour was rolled up after its end.
    """

    question: Question
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    complete_until: datetime | None

    @property
    def is_complete(self) -> bool:
        """Whether every hour of the period was rolled up after its end."""
        return self.complete_until is not None and self.complete_until >= self.question.period.end


def ask(copy: PublishedCopy, query: str, question: Question) -> Answer:
    """The rows of `sql/ask_<query>.sql` for the question. Raises UnknownNameError, WarehouseError.

    Columns that the question does not tell rows apart by, or cut them by, are left out.
    """
    left_out = {name for name in DIMENSIONS if name not in question.per} | (
        set() if question.by else {"start"}
    )
    statement = sql(f"ask_{query}")
    with copy.held() as held, held.reading() as connection:
        check_names(held, question)
        cursor = connection.execute(statement, _used(statement, question.parameters))
        columns = [column[0] for column in cursor.description or ()]
        rows = cursor.fetchall()
        ((until,),) = connection.execute(sql("complete_until")).fetchall() or ((None,),)
    kept = [place for place, name in enumerate(columns) if name not in left_out]
    return Answer(
        question,
        tuple(columns[place] for place in kept),
        tuple(tuple(told(row[place]) for place in kept) for row in rows),
        None if until is None else until.astimezone(UTC),
    )


def told(value: Any) -> Any:
    """A value as JSON carries it exactly: money as a decimal string, an instant as RFC 3339."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def check_names(copy: PublishedCopy, question: Question) -> None:
    """Refuse a filter that names what was never metered. Raises UnknownNameError."""
    filters = {"deployment": question.deployments, "org": question.orgs, "key": question.keys}
    for column, names in filters.items():
        if names:
            known = {next(iter(row.values())) for row in copy.rows(f"known_{column}")}
            _check_names(column, names, known)


def _used(statement: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that the statement has: DuckDB refuses others."""
    return {name: value for name, value in parameters.items() if f"${name}" in statement}


def _check_names(column: str, names: Sequence[str], known: set[str]) -> None:
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], sorted(known), n=3)
    shown = near or sorted(known)[:_SHOWN_NAMES]
    more = "" if near or len(known) <= _SHOWN_NAMES else f" and {len(known) - _SHOWN_NAMES} more"
    there_is = (
        f"{'near it' if near else 'there is'}: {', '.join(shown)}{more}" if known else "there is nothing yet"
    )
    raise UnknownNameError(f"--{column} {', '.join(unknown)}: nothing of it was ever metered; {there_is}.")

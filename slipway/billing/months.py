"""Months as bills name them: UTC, such as `2026-10`.

Belongs here: reading one, its hours, which are over. Does not: what must hold before one is closed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_WRITTEN = re.compile(r"(\d{4})-(\d{2})")
_HOUR = timedelta(hours=1)


class MonthError(ValueError):
    """No month, or one for which this cannot be done; the message says what to write."""


def start_of(month: str) -> datetime:
    """The first instant of a month written `YYYY-MM`. Raises MonthError."""
    match = _WRITTEN.fullmatch(month)
    if match is None or not (1 <= int(match[2]) <= 12 and int(match[1]) >= 1):
        raise MonthError(f"month = {month}: not a month. Write year and month, such as 2026-10.")
    return datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC)


def end_of(month: str) -> datetime:
    """The first instant of the month after."""
    return (start_of(month) + timedelta(days=32)).replace(day=1)


def month_of(instant: datetime) -> str:
    """The month (UTC) of an instant."""
    return f"{instant.astimezone(UTC):%Y-%m}"


def hours_of(month: str) -> list[datetime]:
    """Every hour of the month, in order."""
    start = start_of(month)
    return [start + number * _HOUR for number in range((end_of(month) - start) // _HOUR)]

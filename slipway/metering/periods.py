"""A period as a person writes it: a month, a day, an hour, a range of them, or the last hours or days.

Belongs here: reading it, in whole hours of UTC. Does not: what is asked of it (asking.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from slipway.records.usage import hour_of

_HOUR = timedelta(hours=1)
_FORMATS = (("month", "%Y-%m"), ("day", "%Y-%m-%d"), ("hour", "%Y-%m-%dT%H"))
_EXAMPLES = "2026-10, 2026-10-31, 2026-10-31T09, 2026-10-01..2026-10-15, 36h or 7d"


@dataclass(frozen=True)
class Period:
    """The whole hours in [start, end), aware UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%MZ} to {self.end:%Y-%m-%dT%H:%MZ}"


@dataclass(frozen=True)
class Parts:
    """A period cut into hours, days, months, days and hours, each as large as may be.

    Hours are [start, first_day) and [end_of_days, end), days [first_day, first_month) and
    [end_of_months, end_of_days), months what is between. Without a whole day or month these are empty.
    """

    first_day: datetime
    first_month: datetime
    end_of_months: datetime
    end_of_days: datetime


def parts(period: Period, step: str | None) -> Parts:
    """The parts that rows cut by `step` may be merged from: none of them is larger than a row."""
    start, end = period.start, period.end
    if step == "hour":
        return Parts(start, start, start, start)
    first_day, end_of_days = _following(start, _day_of), _day_of(end)
    if first_day >= end_of_days:
        return Parts(start, start, start, start)
    first_month, end_of_months = _following(first_day, _month_of), _month_of(end_of_days)
    if step not in (None, "month") or first_month >= end_of_months:
        first_month = end_of_months = first_day
    return Parts(first_day, first_month, end_of_months, end_of_days)


def _following(instant: datetime, floor: Callable[[datetime], datetime]) -> datetime:
    """The first day or month that begins at the instant or after it."""
    begun = floor(instant)
    return begun if begun == instant else floor(begun + timedelta(days=31 if floor is _month_of else 1))


def _day_of(instant: datetime) -> datetime:
    return instant.replace(hour=0)


def _month_of(instant: datetime) -> datetime:
    return instant.replace(day=1, hour=0)


def month_of(instant: datetime) -> Period:
    """The calendar month (UTC) that an instant belongs to."""
    start = instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Period(start, _end_of("month", start))


def read_period(text: str, now: datetime) -> Period:
    """The period that the text names; `7d` and `36h` end with the running hour. Raises ValueError."""
    last = re.fullmatch(r"([1-9][0-9]{0,4})([hd])", text)
    try:
        if last is not None:
            end = hour_of(now) + _HOUR
            return Period(end - int(last[1]) * (_HOUR if last[2] == "h" else 24 * _HOUR), end)
        first, dots, second = text.partition("..")
        start, end = _unit(first)
        if dots:
            _, end = _unit(second)
    except (ValueError, OverflowError):
        raise ValueError(f"{text}: no period. Write one such as {_EXAMPLES} (UTC).") from None
    if end <= start:
        raise ValueError(f"{text}: ends before it begins. Write the earlier one first.")
    return Period(start, end)


def _unit(text: str) -> tuple[datetime, datetime]:
    """Where a month, a day or an hour begins and ends."""
    for unit, pattern in _FORMATS:
        try:
            start = datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
        if start.strftime(pattern) == text:  # not such as 2026-1-3
            return start, _end_of(unit, start)
    raise ValueError(text)


def _end_of(unit: str, start: datetime) -> datetime:
    if unit == "hour":
        return start + _HOUR
    if unit == "day":
        return start + 24 * _HOUR
    return (start + timedelta(days=31)).replace(day=1)

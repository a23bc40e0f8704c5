"""Buckets of time and their pages, as OpenAI's SDK asks for them.

Belongs here: arithmetic on Unix seconds, pure. Does not: what is in a bucket.

A bucket is an hour or a day of UTC. The first and the last one are cut where the asked time begins and ends,
to whole hours: usage is kept by the hour.
"""

from __future__ import annotations

from dataclasses import dataclass

HOUR_S = 3600
WIDTH_S = {"1h": HOUR_S, "1d": 24 * HOUR_S}
_PAGE = "page_"


class BadPageError(ValueError):
    """A cursor that no page of this question has."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """From `start` until before `end`, in Unix seconds."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some buckets in order, and the cursor of the next page; None on the last."""

    buckets: tuple[Bucket, ...]
    next_page: str | None


def page_of(start: int, end: int, width_s: int, limit: int, cursor: str | None) -> Page:
    """The page of at most `limit` buckets that the cursor names, the first without. Raises BadPageError.

    What is asked for is [start, end): the hour that `start` lies in is part of it, and the one before `end`.
    """
    first, last = start - start % HOUR_S, -(-end // HOUR_S) * HOUR_S
    at = first if cursor is None else _at(cursor, first, last, width_s)
    buckets: list[Bucket] = []
    while at < last and len(buckets) < limit:
        until = min(at - at % width_s + width_s, last)
        buckets.append(Bucket(at, until))
        at = until
    return Page(tuple(buckets), f"{_PAGE}{at}" if at < last else None)


def _at(cursor: str, first: int, last: int, width_s: int) -> int:
    digits = cursor.removeprefix(_PAGE)
    if cursor.startswith(_PAGE) and digits.isascii() and digits.isdigit() and len(digits) < 12:
        at = int(digits)
        if first < at < last and at % width_s == 0:
            return at
    raise BadPageError(cursor)

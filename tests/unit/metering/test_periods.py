"""Periods as people write them, and the parts that histograms are merged from."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.metering.periods import Period, parts, read_period

NOW = datetime(2026, 12, 1, 6, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-10", at(2026, 10, 1), at(2026, 11, 1)),
        ("2026-12", at(2026, 12, 1), at(2027, 1, 1)),
        ("2024-02-29", at(2024, 2, 29), at(2024, 3, 1)),
        ("2026-10-31T09", at(2026, 10, 31, 9), at(2026, 10, 31, 10)),
        ("2026-10-01..2026-10-15", at(2026, 10, 1), at(2026, 10, 16)),
        ("2026-09..2026-10-15T12", at(2026, 9, 1), at(2026, 10, 15, 13)),
        ("36h", at(2026, 12, 1, 7) - 36 * HOUR, at(2026, 12, 1, 7)),
        ("7d", at(2026, 11, 24, 7), at(2026, 12, 1, 7)),
    ],
)
def test_a_period_is_read_in_whole_hours_of_utc(text: str, start: datetime, end: datetime) -> None:
    assert read_period(text, NOW) == Period(start, end)


@pytest.mark.parametrize(
    "text",
    ["", "x", "2026", "2026-1", "2026-02-30", "2026-10-31T24", "2026-10-31T9", "0d", "-1d", "..", "2026-10..",
     "..2026-10", "2026-10..x", "99999d9", "2026-10-31T09:00", "9999-12"],
)  # fmt: skip
def test_what_is_no_period_is_named_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"no period. Write one such as 2026-10"):
        read_period(text, NOW)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        read_period("2026-10-02..2026-10-01", NOW)


@pytest.mark.parametrize("step", [None, "hour", "day", "week", "month"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (at(2026, 10, 1), at(2026, 11, 1)),
        (at(2026, 10, 1, 5), at(2026, 10, 1, 9)),
        (at(2026, 9, 30, 23), at(2026, 11, 1, 1)),
        (at(2026, 8, 15, 7), at(2027, 1, 2, 3)),
        (at(2026, 10, 3), at(2026, 10, 4)),
        (at(2026, 10, 31, 1), at(2026, 11, 2)),
    ],
)
def test_parts_cover_every_hour_once_and_none_is_larger_than_a_row(
    step: str | None, start: datetime, end: datetime
) -> None:
    cut = parts(Period(start, end), step)
    edges = [start, cut.first_day, cut.first_month, cut.end_of_months, cut.end_of_days, end]
    assert edges == sorted(edges)
    assert all(edge.hour == 0 for edge in edges[1:5]) or edges[1:5] == [start] * 4
    if cut.end_of_months > cut.first_month:
        assert step in (None, "month")
        assert cut.first_month.day == cut.end_of_months.day == 1
    if step == "hour":
        assert cut.end_of_days == start
    elif end - start > 2 * DAY:
        assert cut.first_day - start < DAY and end - cut.end_of_days < DAY

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from slipway.artifacts.transfer.asked_waits import asked_wait_s, rate_limit_s, retry_after_s

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("soon", None),
        ("\u0661", None),  # a digit, but none of HTTP's
        ("Mon, 99 Foo 9999", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str | None, expected_s: float | None) -> None:
    assert retry_after_s(header, NOW) == expected_s


@pytest.mark.parametrize(
    ("limits", "expected_s"),
    [
        ('"resolvers";r=0;t=40', 41.0),  # as the Hub sends it, with a second for rounding
        ('"resolvers"; r=0; t=40', 41.0),
        ('"resolvers";t=40;r=0', 41.0),
        ('"api";r=500;t=40', None),  # not this one
        ('"api";r=500;t=300, "resolvers";r=0;t=40', 41.0),
        ('"a";r=0;t=7,"b";r=0;t=40', 41.0),  # the longest of those that are exhausted
        ("limit=100, remaining=0, reset=40", 41.0),  # earlier drafts
        ("limit=100, remaining=3, reset=40", None),
        ("nonsense", None),
        ("", None),
        (None, None),
    ],
)
def test_an_exhausted_rate_limit_says_when_it_is_reset(limits: str | None, expected_s: float | None) -> None:
    assert rate_limit_s(limits, None) == expected_s


def test_a_field_of_its_own_says_it_in_earlier_drafts() -> None:
    assert rate_limit_s(None, "40") == 41.0
    assert rate_limit_s(None, "soon") is None


def test_of_all_that_is_said_the_longest_wait_counts_whatever_the_case_of_its_name() -> None:
    assert asked_wait_s({"ratelimit": '"resolvers";r=0;t=40'}, NOW) == 41.0
    assert asked_wait_s({"RateLimit": '"resolvers";r=0;t=40', "Retry-After": "90"}, NOW) == 90.0
    assert asked_wait_s({}, NOW) is None

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from slipway.artifacts.errors import SourceUnavailableError
from slipway.artifacts.transfer.retry import (
    RetryPolicy,
    TransientError,
    attempt,
    may_pass,
    retry_after_s,
    wait_s,
)

POLICY = RetryPolicy(attempts=4, first_wait_s=1.0, longest_wait_s=8.0)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failed", "asked_s", "chance", "expected_s"),
    [
        (1, None, 0.0, 0.5),  # half of the backoff is sure
        (1, None, 1.0, 1.0),
        (3, None, 1.0, 4.0),  # 1, 2, 4
        (9, None, 1.0, 8.0),  # never longer than the longest
        (1, 30.0, 0.0, 30.0),  # the server's wish goes before, even beyond the longest
        (3, 1.0, 1.0, 4.0),  # but does not shorten the backoff
        (1, 86_400.0, 0.0, 300.0),  # and has an end
    ],
)
def test_the_wait_doubles_and_honours_retry_after(
    failed: int, asked_s: float | None, chance: float, expected_s: float
) -> None:
    assert wait_s(POLICY, failed, asked_s, chance) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("soon", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str | None, expected_s: float | None) -> None:
    assert retry_after_s(header, NOW) == expected_s


@pytest.mark.parametrize(
    ("status", "passes"), [(429, True), (500, True), (503, True), (404, False), (401, False), (412, False)]
)
def test_too_many_requests_and_a_servers_own_trouble_pass_and_a_refusal_does_not(
    status: int, passes: bool
) -> None:
    assert may_pass(status) is passes


def test_the_error_of_an_answer_has_what_the_server_asked_for() -> None:
    assert TransientError.answered("busy", {"Retry-After": "7"}).retry_after_s == 7.0
    assert TransientError.answered("busy", {}).retry_after_s is None


def test_an_action_that_recovers_is_tried_until_then() -> None:
    outcomes = iter([TransientError("down"), TransientError("busy", 5.0), "done"])
    waits: list[float] = []

    def action() -> str:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert attempt(POLICY, action, waits.append) == "done"
    assert len(waits) == 2
    assert 0.5 <= waits[0] <= 1.0
    assert waits[1] == 5.0


def test_an_action_that_never_recovers_fails_with_its_last_cause() -> None:
    def action() -> None:
        raise TransientError("hub answered 503.")

    with pytest.raises(SourceUnavailableError, match=r"hub answered 503\. Tried 4 times"):
        attempt(POLICY, action, lambda seconds: None)
    assert SourceUnavailableError.retriable


def test_an_error_that_no_retry_helps_is_raised_at_once() -> None:
    waits: list[float] = []
    with pytest.raises(KeyError):
        attempt(POLICY, lambda: {}["absent"], waits.append)
    assert waits == []

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.artifacts.errors import ArtifactError, SourceError, SourceUnavailableError
from slipway.artifacts.transfer.retry import (
    RetryPolicy,
    TransientError,
    attempt,
    may_pass,
    wait_s,
)

POLICY = RetryPolicy(attempts=4, first_wait_s=1.0, longest_wait_s=8.0, patience_s=0.0)


@pytest.mark.parametrize(
    ("failed", "asked_s", "chance", "expected_s"),
    [
        (1, None, 0.0, 0.5),  # half of the backoff is sure
        (1, None, 1.0, 1.0),
        (3, None, 1.0, 4.0),  # 1, 2, 4
        (9, None, 1.0, 8.0),  # never longer than the longest
        (1, 30.0, 0.0, 30.0),  # the server's wish goes before, even beyond the longest
        (3, 1.0, 1.0, 4.0),  # but does not shorten the backoff
        (1, 86_400.0, 0.0, 330.0),  # and has an end
    ],
)
def test_the_wait_doubles_and_honours_retry_after(
    failed: int, asked_s: float | None, chance: float, expected_s: float
) -> None:
    assert wait_s(POLICY, failed, asked_s, chance) == pytest.approx(expected_s)


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


class Clock:
    """Time that passes only while somebody pauses."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds


PATIENT = RetryPolicy(attempts=4, first_wait_s=1.0, longest_wait_s=8.0, patience_s=60.0)


def _down(clock: Clock, until_s: float) -> Callable[[], float]:
    def action() -> float:
        if clock.now_s < until_s:
            raise TransientError("down.")
        return clock.now_s

    return action


@pytest.mark.parametrize("away_s", [25.0, 59.0])
def test_a_server_that_is_away_for_less_than_the_patience_is_outlived(away_s: float) -> None:
    clock = Clock()
    back_at_s = attempt(PATIENT, _down(clock, away_s), clock.pause, clock=clock)
    assert away_s <= back_at_s <= away_s + PATIENT.longest_wait_s


def test_a_server_that_stays_away_is_given_up_when_patience_and_attempts_are() -> None:
    clock = Clock()
    with pytest.raises(SourceUnavailableError, match=r"down\. Tried \d+ times in 6\d s"):
        attempt(PATIENT, _down(clock, 1e9), clock.pause, clock=clock)
    assert PATIENT.patience_s <= clock.now_s <= PATIENT.patience_s + PATIENT.longest_wait_s


def test_what_no_restart_explains_is_tried_a_few_times_only() -> None:
    clock = Clock()

    def action() -> None:
        raise TransientError("gone.", passing=False, lasting=SourceError("really gone."))

    with pytest.raises(SourceError, match="really gone"):
        attempt(PATIENT, action, clock.pause, clock=clock)
    assert clock.now_s <= 1 + 2 + 4


def test_an_action_that_comes_on_is_tried_for_as_long_as_it_does_and_no_longer() -> None:
    """Every connection brings something: forty of them are no failure. One that brings nothing is."""
    came_bytes, clock = 0, Clock()

    def action() -> None:
        nonlocal came_bytes
        came_bytes += 2**20 if came_bytes < 40 * 2**20 else 10
        raise TransientError("broke off.")

    with pytest.raises(SourceUnavailableError, match="Tried 4 times"):
        attempt(POLICY, action, clock.pause, clock=clock, moved_bytes=lambda: came_bytes)
    assert came_bytes == 40 * 2**20 + 3 * 10, "the one that brought much was the first failure of four"


def test_before_each_wait_somebody_is_told_for_what_and_for_how_long() -> None:
    told: list[str] = []
    clock = Clock()
    policy = replace(PATIENT, tell=told.append)
    attempt(policy, _down(clock, 5.0), clock.pause, clock=clock)
    assert told[0].startswith("down. Trying again in ")
    assert told[0].endswith("s, and so on for 60 s.")


@pytest.mark.parametrize(("text", "expected_s"), [("", 120.0), ("7.5", 7.5), ("0", 0.0), (" 300 ", 300.0)])
def test_the_environment_states_the_patience(text: str, expected_s: float) -> None:
    assert RetryPolicy.of({"SLIPWAY_TRANSFER_PATIENCE_S": text}).patience_s == expected_s
    assert RetryPolicy.of({}).patience_s >= 60, "a hub or a store may be started again within it"


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1h"])
def test_a_patience_that_is_no_number_is_named(text: str) -> None:
    with pytest.raises(ArtifactError, match=f"SLIPWAY_TRANSFER_PATIENCE_S = '{text}'.*such as 120"):
        RetryPolicy.of({"SLIPWAY_TRANSFER_PATIENCE_S": text})

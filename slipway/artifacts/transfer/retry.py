"""Trying again: which failures are worth it, how long to wait before, and for how long in all.

Belongs here: the policy, the pure choice of a wait, the loop around one action, and the statuses that pass.
Does not: what other answers mean (store_answers.py, images/registry_answers.py, slipway.artifacts.sources),
what a server asks callers to wait (asked_waits.py).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from slipway.artifacts.errors import ArtifactError, SourceUnavailableError
from slipway.artifacts.transfer.asked_waits import asked_wait_s
from slipway.artifacts.transfer.settings import PATIENCE_VARIABLE, positive_number

T = TypeVar("T")

# A server that asks for longer is down as far as one pull is concerned. The Hub's windows are 300 s.
_LONGEST_ASKED_S = 330.0
# An attempt that brought as much was no failure: the next one goes on behind it.
_WORTH_BYTES = 2**16
_jitter = random.SystemRandom()


def _to_nobody(line: str) -> None:
    """Tell nobody."""


class TransientError(Exception):
    """One attempt failed in a way that another may not; `retry_after_s` is what the server asked for.

    `passing`: a server that is starting again would explain it, so patience is worth it. Otherwise only a few
    attempts are. `lasting`: what it is when it stays; by default, that the source is unavailable.
    """

    def __init__(
        self,
        message: str,
        retry_after_s: float | None = None,
        *,
        passing: bool = True,
        lasting: ArtifactError | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.passing = passing
        self.lasting = lasting

    @classmethod
    def answered(cls, message: str, headers: Mapping[str, str], *, passing: bool = True) -> TransientError:
        """The error of an answer that may be another one soon, with the wait that its headers ask for."""
        return cls(message, asked_wait_s(headers, datetime.now(UTC)), passing=passing)


def may_pass(status: int) -> bool:
    """Whether a server that answers with this status may answer otherwise soon."""
    return status == 429 or status >= 500


@dataclass(frozen=True)
class RetryPolicy:
    """When to give up: after this many attempts and this many seconds since the first of them failed.

    Waits double from the first to the longest. `tell` gets a line for people before each.
    """

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 10.0
    patience_s: float = 120.0
    tell: Callable[[str], None] = field(default=_to_nobody, compare=False, repr=False)

    @classmethod
    def of(cls, variables: Mapping[str, str], tell: Callable[[str], None] = _to_nobody) -> RetryPolicy:
        """The policy with the patience that the environment states. Raises ArtifactError for no number."""
        return cls(patience_s=positive_number(variables, PATIENCE_VARIABLE, cls.patience_s), tell=tell)


def wait_s(policy: RetryPolicy, failed: int, retry_after_s: float | None, chance: float) -> float:
    """Seconds to wait after that many failed attempts; `chance` in [0, 1) spreads callers apart.

    Half of the backoff is fixed and half is chance; what a server asks for is never cut short.
    """
    backoff = min(policy.longest_wait_s, policy.first_wait_s * 2.0 ** min(failed - 1, 30))
    return max(backoff * (0.5 + 0.5 * chance), min(retry_after_s or 0.0, _LONGEST_ASKED_S))


def next_wait_s(policy: RetryPolicy, failed: int, error: TransientError) -> float:
    """`wait_s` after an error, by a chance of its own."""
    return wait_s(policy, failed, error.retry_after_s, _jitter.random())


class Streak:
    """The failures in a row of one action."""

    def __init__(
        self,
        policy: RetryPolicy,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy, self._pause, self._clock = policy, pause, clock
        self._failed, self._since = 0, 0.0

    def over(self) -> None:
        """The action came on: what fails from now on is another streak."""
        self._failed = 0

    def failed(self, error: TransientError) -> None:
        """Wait until the next attempt. Raises SourceUnavailableError where there is none."""
        now = self._clock()
        self._since = now if not self._failed else self._since
        self._failed += 1
        spent_s = now - self._since
        left_s = self._policy.patience_s - spent_s if error.passing else 0.0
        if self._failed >= self._policy.attempts and left_s <= 0:
            if error.lasting is not None:
                raise error.lasting from error
            during = f" in {spent_s:.0f} s" if spent_s >= 1 else ""
            raise SourceUnavailableError(
                f"{error} Tried {self._failed} times{during}. Run this again when it is back."
            ) from error
        pause_s = next_wait_s(self._policy, self._failed, error)
        lasting = f", and so on for {left_s:.0f} s" if left_s > pause_s else ""
        self._policy.tell(f"{error} Trying again in {pause_s:.1f} s{lasting}.")
        self._pause(pause_s)


class CallWaits:
    """A `Waits` of the object store: one call that outlasts what a policy says."""

    def __init__(self, policy: RetryPolicy, pause: Callable[[float], None] = time.sleep) -> None:
        self._streak = Streak(policy, pause)

    def again(self, cause: str, *, passing: bool) -> bool:
        """Wait, then True; False when the policy's time is up."""
        try:
            self._streak.failed(TransientError(cause, passing=passing))
        except SourceUnavailableError:
            return False
        return True


def attempt(
    policy: RetryPolicy,
    action: Callable[[], T],
    pause: Callable[[float], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    moved_bytes: Callable[[], int] = lambda: 0,
) -> T:
    """Run the action until it succeeds. Raises SourceUnavailableError with the last cause when time is up.

    `pause` sleeps for that many seconds, and may raise to give up early. `moved_bytes`: how far the action
    has come; while that grows, no number of attempts is too many.
    """
    streak = Streak(policy, pause, clock)
    while True:
        before = moved_bytes()
        try:
            return action()
        except TransientError as error:
            if moved_bytes() - before >= _WORTH_BYTES:
                streak.over()
            streak.failed(error)

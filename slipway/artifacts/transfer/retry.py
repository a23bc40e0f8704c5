"""Trying again: which failures are worth it, and how long to wait before.

Belongs here: the policy, the pure choice of a wait, the loop around one action, and the statuses that pass.
Does not: what other answers mean (store_answers.py, images/registry_answers.py, slipway.artifacts.sources).
"""

from __future__ import annotations

import email.utils
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from slipway.artifacts.errors import SourceUnavailableError

T = TypeVar("T")

# A server that asks for longer than this is down as far as one pull is concerned.
_LONGEST_RETRY_AFTER_S = 300.0
_jitter = random.SystemRandom()


class TransientError(Exception):
    """One attempt failed in a way that another may not; `retry_after_s` is what the server asked for."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @classmethod
    def answered(cls, message: str, headers: Mapping[str, str]) -> TransientError:
        """The error of an answer that may be another one soon, with what its Retry-After asks for."""
        return cls(message, retry_after_s(headers.get("Retry-After"), datetime.now(UTC)))


def may_pass(status: int) -> bool:
    """Whether a server that answers with this status may answer otherwise soon."""
    return status == 429 or status >= 500


@dataclass(frozen=True)
class RetryPolicy:
    """Attempts in all, and waits that double from the first to the longest."""

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 20.0


def wait_s(policy: RetryPolicy, failed: int, retry_after_s: float | None, chance: float) -> float:
    """Seconds to wait after that many failed attempts; `chance` in [0, 1) spreads callers apart.

    Half of the backoff is fixed and half is chance; a server's Retry-After is never cut short.
    """
    backoff = min(policy.longest_wait_s, policy.first_wait_s * 2.0 ** (failed - 1))
    return max(backoff * (0.5 + 0.5 * chance), min(retry_after_s or 0.0, _LONGEST_RETRY_AFTER_S))


def next_wait_s(policy: RetryPolicy, failed: int, error: TransientError) -> float:
    """`wait_s` after an error, by a chance of its own."""
    return wait_s(policy, failed, error.retry_after_s, _jitter.random())


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date (RFC 9110); None when neither."""
    if not header:
        return None
    if header.strip().replace(".", "", 1).isdigit():
        return float(header)
    try:
        until = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def attempt(policy: RetryPolicy, action: Callable[[], T], pause: Callable[[float], None]) -> T:
    """Run the action until it succeeds. Raises SourceUnavailableError with the last cause after the last try.

    `pause` sleeps for that many seconds, and may raise to give up early.
    """
    for failed in range(1, policy.attempts + 1):
        try:
            return action()
        except TransientError as error:
            if failed == policy.attempts:
                raise SourceUnavailableError(
                    f"{error} Tried {failed} times. Run this again when it is back."
                ) from error
            pause(next_wait_s(policy, failed, error))
    raise AssertionError("a policy has at least one attempt")

"""The decision of drift repair: from what differs to the smallest repair that is due, a wait, or an alert.

Belongs here: attempts, backing off, giving up; pure functions over values, every state a row of a table test.
Does not: what differs (differences.py), starting a repair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.control.differences import Difference, Step, Told, Untold

BACKOFF_S = 30


@dataclass(frozen=True)
class Attempts:
    """How often a repair towards one digest was requested, and when last."""

    digest: str
    count: int
    last: datetime


@dataclass(frozen=True)
class Repair:
    """The fewest steps that bring one thing back, and why."""

    subject: str
    digest: str
    selection: frozenset[Step]
    attempt: int
    reason: str

    @property
    def run_key(self) -> str:
        """Identity of this attempt."""
        return f"{self.subject}:{self.digest[:16]}:{self.attempt}"


@dataclass(frozen=True)
class Alert:
    """A person is needed: the repairs were tried as often as allowed."""

    subject: str
    digest: str
    reason: str


@dataclass(frozen=True)
class Wait:
    """A repair is under way, the next attempt is not due yet, or what is there cannot be told."""

    subject: str
    reason: str


Decision = Repair | Alert | Wait | None


def decide(told: Told, busy: bool, attempts: Attempts | None, max_attempts: int, now: datetime) -> Decision:
    """Say what to do about one subject; None when it is as the catalog says."""
    if told is None:
        return None
    if isinstance(told, Untold):
        reason = str(told.error)
        return Alert(told.subject, "", reason) if told.lasting else Wait(told.subject, reason)
    if busy:
        return Wait(told.subject, "a run is at it")
    return _bounded(told, attempts, max_attempts, now)


def _bounded(
    differs: Difference, attempts: Attempts | None, max_attempts: int, now: datetime
) -> Repair | Alert | Wait:
    subject, digest, reason = differs.subject, differs.digest, differs.reason
    tried = attempts.count if attempts is not None and attempts.digest == digest else 0
    if differs.refusals and tried:
        # Once, so that the asset is red and says why; the same again would be refused again.
        return Alert(subject, digest, reason)
    if tried >= max_attempts:
        return Alert(subject, digest, f"{reason}; gave up after {tried} attempts. Correct the catalog")
    if tried and attempts is not None:
        wait = timedelta(seconds=BACKOFF_S * 2 ** (tried - 1))
        if now - attempts.last < wait:
            return Wait(subject, f"{reason}; attempt {tried + 1} is due at {attempts.last + wait:%H:%M:%S}")
    return Repair(subject, digest, differs.steps, tried + 1, reason)


def capped(decisions: Mapping[str, Decision], most: int) -> dict[str, Decision]:
    """The same with at most so many repairs; the others wait for the next tick and cost no attempt."""
    kept: dict[str, Decision] = {}
    repairs = 0
    for subject, decision in decisions.items():
        if isinstance(decision, Repair):
            repairs += 1
            if repairs > most:
                kept[subject] = Wait(subject, f"{most} repairs go before it")
                continue
        kept[subject] = decision
    return kept


def quiet(decisions: Mapping[str, Decision]) -> bool:
    """Whether nothing is asked for, waited for or under way."""
    return all(each is None or isinstance(each, Alert) for each in decisions.values())


def merge(repairs: Iterable[Repair]) -> frozenset[Step]:
    """One selection for all repairs of a tick: steps are grouped into few runs."""
    return frozenset().union(*(repair.selection for repair in repairs))


def after(
    decisions: Mapping[str, Decision], before: Mapping[str, Attempts], now: datetime
) -> dict[str, Attempts]:
    """The attempts to remember, by subject; what has converged starts again from none."""
    remembered: dict[str, Attempts] = {}
    for subject, decision in decisions.items():
        if isinstance(decision, Repair):
            remembered[subject] = Attempts(decision.digest, decision.attempt, now)
        elif decision is not None and subject in before:
            remembered[subject] = before[subject]
    return remembered

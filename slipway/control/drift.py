"""The decision of the catalog-drift sensor: from desired and observed state to the smallest repair.

Belongs here: pure functions over values; every state is a row of a table test.
Does not: reading the catalog, the store or Dagster's instance (catalog_drift.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

BACKOFF_S = 30


@dataclass(frozen=True)
class Desired:
    """What the catalog wants of one deployment. `spec_digest` is None while a moving ref is unresolved.

    `policy` is the digest of what the gateway is told besides: names, sharing, limits.
    """

    deployment: str
    spec_digest: str | None
    policy: str


@dataclass(frozen=True)
class Observed:
    """What is there for one deployment. `withdrawn`: the desired spec was taken back by hand."""

    missing_weights: frozenset[str] = frozenset()
    validated: bool = False
    withdrawn: bool = False
    live: bool = False
    routed_spec_digest: str | None = None
    routed_policy: str | None = None
    routed_is_live: bool = True
    busy: bool = False


@dataclass(frozen=True)
class Attempts:
    """How often a repair towards one digest was requested, and when last."""

    digest: str
    count: int
    last: datetime


@dataclass(frozen=True)
class Repair:
    """The smallest selection of assets that brings one thing back, and why."""

    subject: str
    digest: str
    selection: frozenset[tuple[str, str]]
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
    """A repair is under way, or the next attempt is not due yet."""

    subject: str
    reason: str


Decision = Repair | Alert | Wait | None


def decide(
    desired: Desired, observed: Observed, attempts: Attempts | None, max_attempts: int, now: datetime
) -> Decision:
    """Say what brings one deployment to the catalog's spec; None when it is there."""
    wanted = _wanted(desired, observed)
    if wanted is None:
        return None
    if observed.busy:
        return Wait(desired.deployment, "a run is at it")
    selection, reason = wanted
    digest = f"{desired.spec_digest or 'unresolved'}/{desired.policy}"
    if observed.routed_spec_digest is not None and not observed.routed_is_live:
        # What tenants use is gone: that is repaired even where the catalog's spec was given up.
        digest += "/lost"
    return _bounded(desired.deployment, digest, selection, reason, attempts, max_attempts, now)


def decide_removed(
    deployment: str, busy: bool, attempts: Attempts | None, max_attempts: int, now: datetime
) -> Decision:
    """A deployment that serves but is no longer in the catalog: the routes drop and retire it."""
    if busy:
        return Wait(deployment, "a run is at it")
    selection = frozenset({("gateway", "routes")})
    return _bounded(deployment, "removed", selection, "removed from the catalog", attempts, max_attempts, now)


def decide_recorded(
    subject: tuple[str, str],
    desired_digest: str,
    recorded_digest: str | None,
    busy: bool,
    attempts: Attempts | None,
    max_attempts: int,
    now: datetime,
) -> Decision:
    """A single asset that mirrors a part of the catalog, such as the prices, and its recorded digest."""
    difference = "" if desired_digest == recorded_digest else "not what the catalog says"
    return decide_part(subject, desired_digest, difference, busy, attempts, max_attempts, now)


def decide_part(
    subject: tuple[str, str],
    desired_digest: str,
    difference: str,
    busy: bool,
    attempts: Attempts | None,
    max_attempts: int,
    now: datetime,
) -> Decision:
    """What stands around deployments, such as a gateway; `difference` says what differs, "" for nothing."""
    if not difference:
        return None
    name = "/".join(subject)
    if busy:
        return Wait(name, "a run is at it")
    reason = f"{name} differs: {difference}"
    return _bounded(name, desired_digest, frozenset({subject}), reason, attempts, max_attempts, now)


def _wanted(desired: Desired, observed: Observed) -> tuple[frozenset[tuple[str, str]], str] | None:
    name = desired.deployment
    routes = ("gateway", "routes")
    weights = {("weights", artifact) for artifact in observed.missing_weights}
    serve = {("rollout", name), ("endpoint", name), routes}
    if weights or desired.spec_digest is None:
        missing = ", ".join(sorted(observed.missing_weights)) or "a commit"
        return frozenset(weights | serve), f"weights missing: {missing}"
    if observed.withdrawn and observed.routed_is_live:
        return _policy(desired, observed)
    if not observed.validated:
        return frozenset(serve), f"spec {desired.spec_digest[:8]} was never validated"
    if not observed.live:
        return frozenset(serve), f"spec {desired.spec_digest[:8]} is not serving"
    if observed.routed_spec_digest != desired.spec_digest:
        return frozenset({routes}), f"spec {desired.spec_digest[:8]} is validated but not routed"
    return _policy(desired, observed)


def _policy(desired: Desired, observed: Observed) -> tuple[frozenset[tuple[str, str]], str] | None:
    if observed.routed_policy != desired.policy:
        return frozenset({("gateway", "routes")}), "names, limits or sharing differ from the route"
    return None


def _bounded(
    subject: str,
    digest: str,
    selection: frozenset[tuple[str, str]],
    reason: str,
    attempts: Attempts | None,
    max_attempts: int,
    now: datetime,
) -> Decision:
    tried = attempts.count if attempts is not None and attempts.digest == digest else 0
    if tried >= max_attempts:
        return Alert(subject, digest, f"{reason}; gave up after {tried} attempts. Correct the catalog")
    if tried and attempts is not None:
        wait = timedelta(seconds=BACKOFF_S * 2 ** (tried - 1))
        if now - attempts.last < wait:
            return Wait(subject, f"{reason}; attempt {tried + 1} is due at {attempts.last + wait:%H:%M:%S}")
    return Repair(subject, digest, selection, tried + 1, reason)


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


def merge(repairs: Iterable[Repair]) -> frozenset[tuple[str, str]]:
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

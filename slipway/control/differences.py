"""What differs between a catalog and what is there: the one decision, for plans and for drift repair.

Belongs here: per subject (a deployment, one that was removed, organisations, prices, what stands around
deployments) whether it is as the catalog says, what to do about it, and why; pure functions.
Does not: reading what is there (observing.py), when to repair (drift.py), field by field (plans.py).

Objects of a revision that serves its spec are not compared: edited by hand, or rendered by another version of
Slipway, they are put right by the next rollout. A plan shows them beside what is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from slipway.catalog import Catalog, Deployment, ResolvedDeployment, digests
from slipway.control.cluster_parts import Drift
from slipway.control.routing import Routed, desired_policy, routed_revisions
from slipway.metering import prices
from slipway.metering.prices import ClosedPriceError, PriceBookError
from slipway.records.price_history import PriceRow
from slipway.records.revisions import Revision
from slipway.records.routes import RouteTable

# What brings something back: ("weights", artifact), ("rollout", deployment), ("endpoint", deployment) which
# is its validation, ("gateway", "routes"), or a mirror of the catalog or a part of a cluster by its own name.
Step = tuple[str, str]

ROUTES: Step = ("gateway", "routes")
ORGANIZATIONS: Step = ("tenants", "organizations")
PRICES: Step = ("billing", "prices")

Kind = Literal["deployment", "removed", "organizations", "prices", "part"]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the catalog says. `digest` names what is wanted instead.

    `refusals` say why the steps will be refused until a person acts; empty where they are not.
    """

    subject: str
    kind: Kind
    digest: str
    steps: frozenset[Step]
    reason: str
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Untold:
    """What could not be read, and why: nothing follows from it but to ask again.

    `lasting`: asking again gives the same until a person acts.
    """

    subject: str
    error: Exception
    lasting: bool = False


@dataclass(frozen=True)
class Lost:
    """A store that has less than it had; the reason says what is gone, and what a person may do."""

    reason: str


@dataclass(frozen=True)
class Prices:
    """The rows of the price history, None before the first, and of the warehouse's published copy, if any."""

    history: Sequence[PriceRow] | None
    table: Sequence[PriceRow] | None

    @property
    def taken(self) -> Sequence[PriceRow]:
        """What the next ones follow from: the table begins a history that is not there."""
        return (self.table or ()) if self.history is None else self.history


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


@dataclass(frozen=True)
class Live:
    """What is there, read once for all subjects.

    `serving` holds the spec digests that serve, by deployment; None where no data plane is connected, which
    then counts as served. `orgs` is None before its first sync. `revision` and `missing_weights` are asked
    only of a deployment that is not as it should be.
    """

    table: RouteTable
    serving: Mapping[str, frozenset[str]] | None
    orgs: frozenset[str] | Lost | Untold | None
    prices: Prices | Untold
    parts: Sequence[Drift]
    revision: Callable[[str, str], Revision | None]
    missing_weights: Callable[[Deployment], frozenset[str]]

    @cached_property
    def routed(self) -> Mapping[str, Routed]:
        """What the table says, by deployment."""
        return routed_revisions(self.table)

    def serves(self, deployment: str, spec_digest: str | None) -> bool:
        """Whether a spec serves, as far as that is known."""
        if self.serving is None:
            return spec_digest is not None
        return spec_digest in self.serving.get(deployment, frozenset())


Told = Difference | Untold | None


def between(
    catalog: Catalog, resolved: Mapping[str, ResolvedDeployment], live: Live, now: datetime
) -> dict[str, Told]:
    """Each subject with its difference, or None; by name, in the order in which they are brought.

    `resolved` holds the catalog's deployments by name, without those whose moving refs have no commit yet.
    """
    told: dict[str, Told] = {
        _name(ORGANIZATIONS): of_organizations(catalog, live.orgs),
        _name(PRICES): of_prices(catalog, live.prices, now),
    }
    for drifted in live.parts:
        told[str(drifted.part)] = of_part(catalog, drifted)
    for deployment in catalog.deployments:
        spec = resolved.get(deployment.name)
        desired = Desired(
            deployment.name, spec.spec_digest if spec else None, desired_policy(catalog, deployment)
        )
        told[deployment.name] = of_deployment(desired, observed(deployment, desired, live))
    known = {deployment.name for deployment in catalog.deployments}
    for name in sorted({*live.routed, *(live.serving or {})} - known):
        told[name] = of_removed(name)
    return told


def observed(deployment: Deployment, desired: Desired, live: Live) -> Observed:
    """One deployment's side of what is there."""
    name, digest = deployment.name, desired.spec_digest
    routed = live.routed.get(name)
    is_live = live.serves(name, digest)
    converged = routed is not None and routed.spec_digest == digest and is_live
    # Records and weights are asked only where something is amiss: a look at many stays short.
    record = live.revision(name, digest) if digest is not None and not converged else None
    return Observed(
        missing_weights=frozenset() if converged else live.missing_weights(deployment),
        validated=converged or (record is not None and record.state == "validated"),
        withdrawn=record is not None and record.state == "withdrawn",
        live=is_live,
        routed_spec_digest=routed.spec_digest if routed else None,
        routed_policy=routed.policy if routed else None,
        routed_is_live=routed is not None and live.serves(name, routed.spec_digest),
    )


def of_deployment(desired: Desired, seen: Observed) -> Difference | None:
    """What brings one deployment to the catalog's spec; None when it is there."""
    wanted = _wanted(desired, seen)
    if wanted is None:
        return None
    steps, reason = wanted
    digest = f"{desired.spec_digest or 'unresolved'}/{desired.policy}"
    if seen.routed_spec_digest is not None and not seen.routed_is_live:
        # What tenants use is gone: that is repaired even where the catalog's spec was given up.
        digest += "/lost"
    return Difference(desired.deployment, "deployment", digest, steps, reason)


def _wanted(desired: Desired, seen: Observed) -> tuple[frozenset[Step], str] | None:
    name = desired.deployment
    if seen.withdrawn and seen.routed_is_live:
        return _policy(desired, seen)
    weights: set[Step] = {("weights", artifact) for artifact in seen.missing_weights}
    serve: set[Step] = {("rollout", name), ("endpoint", name), ROUTES}
    if weights or desired.spec_digest is None:
        missing = ", ".join(sorted(seen.missing_weights)) or "a commit"
        return frozenset(weights | serve), f"weights missing: {missing}"
    if not seen.validated:
        return frozenset(serve), f"spec {desired.spec_digest[:8]} was never validated"
    if not seen.live:
        return frozenset(serve), f"spec {desired.spec_digest[:8]} is not serving"
    if seen.routed_spec_digest != desired.spec_digest:
        return frozenset({ROUTES}), f"spec {desired.spec_digest[:8]} is validated but not routed"
    return _policy(desired, seen)


def _policy(desired: Desired, seen: Observed) -> tuple[frozenset[Step], str] | None:
    if seen.routed_policy != desired.policy:
        return frozenset({ROUTES}), "names, limits or sharing differ from the route"
    return None


def of_removed(deployment: str) -> Difference:
    """A deployment that is routed or serves, and left the catalog: publishing routes drops and retires it."""
    return Difference(deployment, "removed", "removed", frozenset({ROUTES}), "removed from the catalog")


def of_organizations(catalog: Catalog, there: frozenset[str] | Lost | Untold | None) -> Told:
    """The organisations of the tenants' database; None for one that was never set up.

    One that was lost is not made again: gateways go on with the keys that they have, and would drop them all.
    """
    wanted = frozenset(org.name for org in catalog.organizations)
    digest = digests.of_organizations(catalog)
    if isinstance(there, Untold):
        return there
    if isinstance(there, Lost):
        return _mirror(ORGANIZATIONS, "organizations", f"{digest}/lost", there.reason, (there.reason,))
    if there is None:
        return _mirror(ORGANIZATIONS, "organizations", digest, "never synced")
    named = [f"{name} is missing" for name in sorted(wanted - there)]
    named += [f"{name} is not in the catalog" for name in sorted(there - wanted)]
    if not named:
        return None
    return _mirror(ORGANIZATIONS, "organizations", digest, _few(named))


def of_prices(catalog: Catalog, there: Prices | Untold, now: datetime) -> Told:
    """What was taken of the catalog's prices, and the copy of it that rating joins."""
    digest = digests.of_prices(catalog)
    if isinstance(there, Untold):
        return there
    try:
        wanted = wanted_prices(catalog, there, now)
    except (ClosedPriceError, PriceBookError) as error:
        refusals = tuple(str(error).splitlines())
        return _mirror(PRICES, "prices", f"{digest}/refused", "; ".join(refusals), refusals)
    if there.history is None:
        what = "there is no price history; the warehouse's prices begin it" if there.table else "never taken"
        return _mirror(PRICES, "prices", digest, what)
    named = _unequal(wanted, there.history)
    if not named and (there.table is None or _unequal(there.history, there.table)):
        named = [f"the warehouse has {'others than were taken' if there.table else 'none'}"]
    return _mirror(PRICES, "prices", digest, _few(named)) if named else None


def wanted_prices(catalog: Catalog, there: Prices, now: datetime) -> tuple[PriceRow, ...]:
    """The price table that follows from what was taken. Raises ClosedPriceError and PriceBookError."""
    wanted = prices.merge(there.taken, prices.schedules(catalog), now)
    prices.check_append_only(there.taken, wanted, prices.month_start(now))
    return wanted


def _unequal(one: Sequence[PriceRow], other: Sequence[PriceRow]) -> list[str]:
    """Names of the prices that are in one of the two and not in the other."""
    in_one, in_other = set(one), set(other)
    different = [row for row in (*one, *other) if (row in in_one) != (row in in_other)]
    return list(dict.fromkeys(f"{row.deployment} {row.version}" for row in different))


def of_part(catalog: Catalog, drifted: Drift) -> Difference | None:
    """What stands around deployments, such as a gateway."""
    if not drifted.reason:
        return None
    part = drifted.part
    step = (part.kind, part.name)
    if part.kind == "data_plane":
        return _mirror(step, "part", digests.of_data_plane(catalog, part.name), drifted.reason)
    endpoint = next(each for each in catalog.endpoints if each.name == part.name)
    return _mirror(step, "part", digests.of_gateway(catalog, endpoint), drifted.reason)


def _mirror(step: Step, kind: Kind, digest: str, what: str, refusals: tuple[str, ...] = ()) -> Difference:
    name = _name(step)
    return Difference(name, kind, digest, frozenset({step}), f"{name} differs: {what}", refusals)


def _name(step: Step) -> str:
    return "/".join(step)


def _few(named: Sequence[str]) -> str:
    more = f" and {len(named) - 2} more" if len(named) > 2 else ""
    return ", ".join(named[:2]) + more


def differing(told: Mapping[str, Told]) -> Iterator[Difference]:
    """Those that differ, in order."""
    return (each for each in told.values() if isinstance(each, Difference))

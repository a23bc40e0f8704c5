"""A deployment's stages: hold its weights, roll out, validate, route, retire.

Belongs here: each stage joined with its records and servers, as Dagster, the command line and others do it.
Does not: the order within a rollout (rollout.py), what the route table says (routing.py), choosing stages
(differences.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from slipway.catalog import Catalog, ResolvedDeployment
from slipway.control import replica_samples, rollout, routing
from slipway.control.connections import Connections
from slipway.control.held_weights import hold_weights
from slipway.dataplane.protocol import LiveApplication, Report
from slipway.dataplane.validation import validation
from slipway.dataplane.validation.validation import CheckResult
from slipway.records import replica_samples as records
from slipway.records.revisions import Revision
from slipway.records.route_store import NumberedTable
from slipway.records.routes import RouteTable

Say = Callable[[str], None]


class NotRolledOutError(LookupError):
    """There is nothing to validate: the spec was not rolled out, or its record was removed."""

    def __init__(self, deployment: str, spec_digest: str) -> None:
        super().__init__(f"{deployment}: spec {spec_digest[:8]} was not rolled out. Roll it out first.")
        self.deployment = deployment


@dataclass(frozen=True)
class Outcome:
    """What validation found, and the record that it left."""

    revision: Revision
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether the revision may have traffic."""
        return all(result.passed for result in self.results)

    @property
    def summary(self) -> str:
        """What failed, and what follows."""
        failed = "; ".join(f"{each.name}: {each.message}" for each in self.results if not each.passed)
        return (
            f"{self.revision.application} was refused: {failed}. It never received tenant traffic; "
            "the routes stay with the last good revision."
        )


def roll_out(at: Connections, resolved: ResolvedDeployment, say: Say) -> Revision:
    """Hold the weights, apply, wait until the new spec truly serves, and record it.

    Raises NotPublishedError or RolloutFailedError.
    """
    hold_weights(at.store, resolved, say)
    return rollout.roll_out(at.planes, at.revisions, resolved, _line(say))


def validate(at: Connections, resolved: ResolvedDeployment, say: Say) -> Outcome:
    """Probe the rolled-out revision as a client would, and record it as validated or failed.

    Raises NotRolledOutError.
    """
    revision = at.revisions.get(resolved.name, resolved.spec_digest)
    if revision is None:
        raise NotRolledOutError(resolved.name, resolved.spec_digest)
    settings = resolved.deployment.rollout
    results = validation.validate(revision, settings.validation)
    recorded = rollout.record_validation(
        at.planes,
        at.revisions,
        revision,
        results,
        _line(say),
        automatic_rollback=settings.automatic_rollback,
        deadline_s=settings.deadline_s,
    )
    return Outcome(recorded, tuple(results))


def route(at: Connections, catalog: Catalog, say: Say) -> NumberedTable:
    """Let tenants reach what was validated, and return when every gateway serves so.

    Then stable names inside each cluster lead there, too. Raises RoutesNotLoadedError.
    """
    gateways = at.gateways  # before anything changes: it may lack a setting

    def made(before: RouteTable) -> RouteTable:
        return routing.table_of(catalog, _targets(at, catalog, routing.routed_digests(before)))

    published = at.routes.change(made)
    gateways.wait_until_loaded(published.number, say)
    for name, digest in routing.routed_digests(published.table).items():
        record = at.revisions.get(name, digest)
        if record is not None:
            at.planes.publish(record.applied)
    return published


def _targets(at: Connections, catalog: Catalog, routed: Mapping[str, str]) -> dict[str, routing.Target]:
    """For each deployment the revision that tenants should reach; those without one are left out."""
    live = serving(at.planes.status())
    targets: dict[str, routing.Target] = {}
    for deployment in catalog.deployments:
        name = deployment.name
        chosen = routing.to_route(at.revisions.all(name), live.get(name, frozenset()), routed.get(name))
        if chosen is not None:
            targets[name] = routing.target_of(chosen)
    return targets


def retire(
    at: Connections, catalog: Catalog, published: RouteTable, desired: Mapping[str, str], say: Say
) -> tuple[str, ...]:
    """Drain and remove what no route names any more; call it when every gateway has the `published` table.

    What a later table names stays, too: somebody may have gone back meanwhile. `desired` holds the spec
    digests of the catalog: another run may be rolling one out right now. Returns names of applications.
    """
    report = _line(say)
    tables = (published, at.routes.latest().table)
    routed = [routing.routed_digests(table) for table in tables]
    wanted = {each.name: each for each in catalog.deployments}
    removed: list[str] = []
    for name, live in sorted(_digests(at.planes.status()).items()):
        if name not in wanted:
            removed += rollout.delete(at.planes, at.revisions, name, report)
            continue
        digests = frozenset(table[name] for table in routed if name in table)
        keep = _kept(at, name, digests, desired.get(name, "")) if digests else live
        old = live - keep
        if old:
            removed += rollout.retire(
                at.planes,
                at.revisions,
                name,
                keep,
                partial(_in_flight, at, name, old),
                wanted[name].rollout.drain_s,
                report,
                keep_revisions=catalog.settings.keep_revisions,
            )
    return tuple(removed)


def _kept(at: Connections, name: str, routed: frozenset[str], desired: str) -> frozenset[str]:
    """What is routed, and what is being rolled out, unless it was taken back by hand."""
    record = at.revisions.get(name, desired) if desired not in routed else None
    is_withdrawn = record is not None and record.state == "withdrawn"
    return routed if is_withdrawn else routed | {desired}


def _in_flight(at: Connections, deployment: str, digests: frozenset[str]) -> int:
    return sum(at.gateways.in_flight(deployment, digest) for digest in digests)


def sample(at: Connections, now: datetime) -> str:
    """Write down what runs now, for the cost of a replica's hour; returns the key."""

    def spec_of(deployment: str, spec_digest: str) -> Mapping[str, Any] | None:
        record = at.revisions.get(deployment, spec_digest)
        return record.spec if record is not None else None

    return records.write(at.store, replica_samples.sampled(at.planes.status(), spec_of, now))


def serving(applications: Iterable[LiveApplication]) -> dict[str, frozenset[str]]:
    """Spec digests that serve now, by deployment."""
    return _digests(applications, only_serving=True)


def _digests(
    applications: Iterable[LiveApplication], *, only_serving: bool = False
) -> dict[str, frozenset[str]]:
    by_deployment: dict[str, frozenset[str]] = {}
    for live in applications:
        if live.is_serving or not only_serving:
            before = by_deployment.get(live.deployment, frozenset())
            by_deployment[live.deployment] = before | {live.spec_digest}
    return by_deployment


def _line(say: Say) -> Report:
    return lambda progress: say(str(progress))

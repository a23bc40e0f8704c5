"""The data plane as a resource: rollouts, validation, what serves, and retiring what no route names.

Belongs here: building the domain's clients, and joining a rollout's stages with their records.
Does not: how a stage works (slipway.dataplane).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg

from resources.environment import EnvironmentResource, StoreResource
from slipway.catalog import Catalog, ResolvedDeployment, Settings
from slipway.catalog.deployment import Rollout
from slipway.control import replica_samples as samples
from slipway.control import rollout
from slipway.control.held_weights import hold_weights
from slipway.control.routing import Target
from slipway.dataplane.protocol import DataPlane
from slipway.dataplane.validation import validation
from slipway.dataplane.validation.validation import CheckResult, checks_of
from slipway.records.revisions import Revision, RevisionStore, to_route

__all__ = ["DataPlaneResource", "Outcome", "checks_of"]

Log = Callable[[str], None]


class NotRolledOutError(LookupError):
    """There is nothing to validate: the spec was not rolled out, or was taken back."""


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


class DataPlaneResource(dg.ConfigurableResource[None]):
    """The clusters that engines run on: Ray Serve through its REST API, Kubernetes through its API server."""

    environment: EnvironmentResource
    store: StoreResource

    def roll_out(self, resolved: ResolvedDeployment, settings: Settings, progress: Log) -> Revision:
        """Hold the weights, apply, wait until the new spec truly serves, and record it.

        Raises NotPublishedError or RolloutFailedError.
        """
        hold_weights(self.store.connect(), resolved, progress)
        plane = self._plane(settings.node_cache_bytes)
        return rollout.roll_out(plane, self._revisions(), resolved, _line(progress))

    def validate_revision(self, resolved: ResolvedDeployment, progress: Log) -> Outcome:
        """Probe the rolled-out revision as a client would, and record it as validated or failed."""
        revisions = self._revisions()
        revision = revisions.get(resolved.name, resolved.spec_digest)
        if revision is None:
            raise NotRolledOutError(
                f"{resolved.name}: spec {resolved.spec_digest[:8]} was not rolled out. "
                f"Materialize rollout/{resolved.name} first."
            )
        settings: Rollout = resolved.deployment.rollout
        results = validation.validate(revision, settings.validation)
        recorded = rollout.record_validation(
            self._plane(),
            revisions,
            revision,
            results,
            _line(progress),
            automatic_rollback=settings.automatic_rollback,
            deadline_s=settings.deadline_s,
        )
        return Outcome(recorded, tuple(results))

    def targets(self, catalog: Catalog, routed: Mapping[str, str]) -> dict[str, Target]:
        """For each deployment the revision that tenants should reach; those without one are left out.

        `routed` holds the spec digest that the routes name now.
        """
        revisions, live = self._revisions(), self.serving()
        found: dict[str, Target] = {}
        for name in (deployment.name for deployment in catalog.deployments):
            chosen = to_route(revisions.all(name), live.get(name, frozenset()), routed.get(name))
            if chosen is not None:
                found[name] = Target(chosen.spec_digest, chosen.upstream, chosen.engine_names)
        return found

    def publish(self, catalog: Catalog, routed: Mapping[str, Target]) -> None:
        """Let stable names inside each cluster lead to what is routed; call it when routes have moved."""
        plane, revisions = self._plane(), self._revisions()
        for deployment in catalog.deployments:
            target = routed.get(deployment.name)
            record = revisions.get(deployment.name, target.spec_digest) if target else None
            if record is not None:
                plane.publish(record.applied)

    def retire(
        self,
        catalog: Catalog,
        routed: Mapping[str, Target],
        desired: Mapping[str, str],
        in_flight: Callable[[str, str], int],
        progress: Log,
    ) -> tuple[str, ...]:
        """Drain and remove what no route names any more; call it when every gateway has the new routes.

        `desired` holds the spec digests of the catalog: another run may be rolling one out right now.
        """
        plane, revisions, report = self._plane(), self._revisions(), _line(progress)
        wanted = {each.name: each for each in catalog.deployments}
        removed: list[str] = []
        for name, live in sorted(_by_deployment(plane).items()):
            if name not in wanted:
                removed += rollout.delete(plane, revisions, name, report)
                continue
            keep = self._kept(name, routed[name], desired.get(name, "")) if name in routed else live
            if live - keep:
                removed += rollout.retire(
                    plane,
                    revisions,
                    name,
                    keep,
                    partial(_in_flight, in_flight, name, live - keep),
                    wanted[name].rollout.drain_s,
                    report,
                    keep_revisions=catalog.settings.keep_revisions,
                )
        return tuple(removed)

    def _kept(self, name: str, routed: Target, desired: str) -> frozenset[str]:
        """What is routed, and what is being rolled out, unless it was taken back by hand."""
        unwanted = desired != routed.spec_digest and self.withdrawn(name, desired)
        return frozenset({routed.spec_digest} if unwanted else {routed.spec_digest, desired})

    def serving(self) -> dict[str, frozenset[str]]:
        """Spec digests that serve now, by deployment."""
        return _by_deployment(self._plane(), only_serving=True)

    def validated(self, deployment: str, spec_digest: str) -> bool:
        """Whether this spec's last validation passed."""
        record = self._revisions().get(deployment, spec_digest)
        return record is not None and record.state == "validated"

    def withdrawn(self, deployment: str, spec_digest: str) -> bool:
        """Whether this spec was taken back by hand."""
        record = self._revisions().get(deployment, spec_digest)
        return record is not None and record.state == "withdrawn"

    def sample(self, now: datetime) -> str:
        """Write down what runs now, for the cost of a replica's hour; returns the key."""
        revisions = self._revisions()

        def spec_of(deployment: str, spec_digest: str) -> Mapping[str, Any] | None:
            record = revisions.get(deployment, spec_digest)
            return record.spec if record is not None else None

        return samples.write(self.store.connect(), samples.sampled(self._plane().status(), spec_of, now))

    def _plane(self, node_cache_bytes: int | None = None) -> DataPlane:
        from slipway.dataplane.planes.connected import connected

        return connected(
            self.environment.read(), revisions=self._revisions(), node_cache_bytes=node_cache_bytes
        )

    def _revisions(self) -> RevisionStore:
        return RevisionStore(self.store.connect())


def _in_flight(count: Callable[[str, str], int], deployment: str, digests: frozenset[str]) -> int:
    return sum(count(deployment, digest) for digest in digests)


def _by_deployment(plane: DataPlane, *, only_serving: bool = False) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for live in plane.status():
        if live.is_serving or not only_serving:
            found[live.deployment] = found.get(live.deployment, frozenset()) | {live.spec_digest}
    return found


def _line(progress: Log) -> Callable[[object], None]:
    return lambda observed: progress(str(observed))

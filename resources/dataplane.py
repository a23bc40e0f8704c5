"""The data plane as a resource: a deployment's stages, and what serves.

Belongs here: building control's connections, when a run or a tick uses them.
Does not: the stages (slipway.control.stages).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from resources.environment import EnvironmentResource
from slipway.catalog import Catalog, ResolvedDeployment, Settings
from slipway.control import stages
from slipway.control.connections import Connections
from slipway.control.stages import Outcome
from slipway.dataplane.validation.validation import checks_of

if TYPE_CHECKING:
    from slipway.records.revisions import Revision
    from slipway.records.routes import RouteTable

__all__ = ["DataPlaneResource", "Outcome", "checks_of"]

Log = Callable[[str], None]


class DataPlaneResource(dg.ConfigurableResource[None]):
    """The clusters that engines run on: Ray Serve through its REST API, Kubernetes through its API server."""

    environment: EnvironmentResource

    def roll_out(self, resolved: ResolvedDeployment, settings: Settings, progress: Log) -> Revision:
        """Bring the data plane to this spec. Raises NotPublishedError or RolloutFailedError."""
        return stages.roll_out(self._connected(settings.node_cache_bytes), resolved, progress)

    def validate_revision(self, resolved: ResolvedDeployment, progress: Log) -> Outcome:
        """Probe what was rolled out as a client would. Raises NotRolledOutError."""
        return stages.validate(self._connected(), resolved, progress)

    def retire(
        self, catalog: Catalog, published: RouteTable, desired: Mapping[str, str], progress: Log
    ) -> tuple[str, ...]:
        """Drain and remove what no route names any more, when every gateway has the `published` table."""
        return stages.retire(self._connected(), catalog, published, desired, progress)

    def serving(self) -> Mapping[str, frozenset[str]]:
        """Spec digests that serve now, by deployment."""
        return stages.serving(self._connected().planes.status())

    def revision(self, deployment: str, spec_digest: str) -> Revision | None:
        """The record of one spec; None when it was never rolled out."""
        return self._connected().revisions.get(deployment, spec_digest)

    def sample(self, now: datetime) -> str:
        """Write down what runs now, for the cost of a replica's hour; returns the key."""
        return stages.sample(self._connected(), now)

    def _connected(self, node_cache_bytes: int | None = None) -> Connections:
        return Connections(self.environment.read(), node_cache_bytes=node_cache_bytes)

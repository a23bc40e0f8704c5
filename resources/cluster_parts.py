"""What stands around deployments on Kubernetes, as a resource: namespaces with their bounds, and gateways.

Belongs here: building control's connections.
Does not: what is brought, and how (slipway.control.cluster_parts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from resources.environment import EnvironmentResource
from slipway.catalog import Catalog, Endpoint
from slipway.control import cluster_parts
from slipway.control.connections import Connections

if TYPE_CHECKING:
    from slipway.control.cluster_parts import Drift, Prepared
    from slipway.dataplane.kubernetes.cluster_parts import Serving
    from slipway.dataplane.planes.planes import Planes

Log = Callable[[str], None]


class ClusterPartsResource(dg.ConfigurableResource[None]):
    """The Kubernetes clusters, around their deployments."""

    environment: EnvironmentResource

    def prepare(self, catalog: Catalog, name: str, progress: Log) -> Prepared:
        """Bring what a data plane holds around its deployments. Raises DataPlaneError."""
        return cluster_parts.prepare(self._planes(), catalog, name, progress)

    def serve(self, catalog: Catalog, endpoint: Endpoint, progress: Log) -> Serving:
        """Bring an endpoint's gateway, and wait until it serves. Raises DataPlaneError or RenderError."""
        return cluster_parts.serve(
            self._planes(), catalog, endpoint, progress, lambda seen: progress(str(seen))
        )

    def retire(self, catalog: Catalog, progress: Log) -> tuple[str, ...]:
        """Take gateways away from clusters that the catalog does not use any more. Raises DataPlaneError."""
        return tuple(str(plan.ref) for plan in cluster_parts.retire(self._planes(), catalog, progress))

    def drifts(self, catalog: Catalog) -> list[Drift]:
        """Of each data plane and gateway, what differs from the catalog; no call where there is none."""
        return list(cluster_parts.drifts(self._planes(), catalog)) if cluster_parts.parts(catalog) else []

    def _planes(self) -> Planes:
        return Connections(self.environment.read()).planes

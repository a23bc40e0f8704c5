"""The servers of one environment, as control speaks to them.

Belongs here: building each client from `SLIPWAY_*`, when it is first used.
Does not: what is done with them (the modules beside this one).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from slipway.records.revisions import RevisionStore
from slipway.records.route_store import RouteStore

if TYPE_CHECKING:
    from slipway.control.gateways import Gateways
    from slipway.dataplane.planes.planes import Planes
    from slipway.metering.published import PublishedCopy
    from slipway.metering.warehouse import Warehouse
    from slipway.tenants import TenantsDatabase


class Connections:
    """Clients of one environment; any may raise MissingSettingError, which names the variable.

    `node_cache_bytes` bounds the weights cache of Ray's nodes. `say` hears what a cluster's API warns of.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        node_cache_bytes: int | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.environment = environment
        self._node_cache_bytes = node_cache_bytes
        self._say = say

    @cached_property
    def store(self) -> ObjectStore:
        """The local store."""
        return ObjectStore(self.environment.s3)

    @cached_property
    def revisions(self) -> RevisionStore:
        """What was rolled out."""
        return RevisionStore(self.store)

    @cached_property
    def routes(self) -> RouteStore:
        """The published route tables."""
        return RouteStore(self.store)

    @cached_property
    def planes(self) -> Planes:
        """All data planes as one."""
        from slipway.dataplane.planes.connected import connected

        return connected(
            self.environment,
            revisions=self.revisions,
            node_cache_bytes=self._node_cache_bytes,
            say=self._say,
        )

    @cached_property
    def gateways(self) -> Gateways:
        """All gateway replicas."""
        from slipway.control.gateways import Gateways

        return Gateways.of(self.environment)

    @cached_property
    def tenants(self) -> TenantsDatabase:
        """The tenants' database."""
        from slipway.tenants import TenantsDatabase

        return TenantsDatabase(self.environment.tenants_db_url)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The live warehouse, which one run at a time writes."""
        from slipway.metering.warehouse import Warehouse

        return Warehouse(self.environment.warehouse_dir, self.environment.warehouse_shards)

    @cached_property
    def metered(self) -> PublishedCopy:
        """The warehouse's published copy."""
        from slipway.metering.published import PublishedCopy

        return PublishedCopy.of(self.warehouse)

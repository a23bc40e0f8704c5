"""The gateway and the tenants behind it as resources: the published routes, and the organisations.

Belongs here: building control's connections, when a run or a tick uses them.
Does not: what a table says and how it is published (slipway.control), serving requests (slipway.gateway).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import dagster as dg

from resources.environment import EnvironmentResource
from slipway.catalog import Catalog
from slipway.control import observing, stages, tenancy
from slipway.control.connections import Connections

if TYPE_CHECKING:
    from slipway.control.differences import Lost, Untold
    from slipway.records.route_store import NumberedTable
    from slipway.records.routes import RouteTable


class GatewayResource(dg.ConfigurableResource[None]):
    """All gateway replicas that follow one route table."""

    environment: EnvironmentResource

    def table(self) -> RouteTable:
        """The published table; an empty one before the first. Raises RouteTableError."""
        return Connections(self.environment.read()).routes.latest().table

    def route(self, catalog: Catalog, progress: Callable[[str], None]) -> NumberedTable:
        """Publish what was validated, and wait for every gateway. Raises RoutesNotLoadedError."""
        return stages.route(Connections(self.environment.read()), catalog, progress)


class TenantsResource(dg.ConfigurableResource[None]):
    """The tenants' database."""

    environment: EnvironmentResource

    def sync_orgs(self, names: Iterable[str]) -> None:
        """Make the active organisations exactly these. Raises TenantsLostError."""
        tenancy.sync_orgs(Connections(self.environment.read()), names)

    def orgs(self) -> frozenset[str] | Lost | Untold | None:
        """The active organisations; None before the first sync. How far the database has come is noted."""
        return observing.orgs(Connections(self.environment.read()), tenancy.note)

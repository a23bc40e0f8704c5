"""The gateway and the tenants behind it: publishing routes, and asking replicas what they loaded.

Belongs here: building clients, and the wait between a published table and a loaded one.
Does not: what a table says (slipway.control.routing), serving requests (slipway.gateway).
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dagster as dg

from resources.environment import EnvironmentResource, StoreResource
from slipway.catalog import Catalog
from slipway.control import routing
from slipway.records import routes

LOAD_TIMEOUT_S = 60


class RoutesNotLoadedError(RuntimeError):
    """A gateway replica did not take the new table in time."""


class GatewayResource(dg.ConfigurableResource[None]):
    """All gateway replicas that follow one route table."""

    environment: EnvironmentResource
    store: StoreResource

    def table(self) -> routes.RouteTable:
        """The published table; an empty one before the first."""
        body = self.store.connect().get(routes.KEY)
        return routes.parse(body) if body is not None else routes.build([])

    def routed(self) -> dict[str, str]:
        """The spec digest that the published table names for each deployment."""
        return {name: each.spec_digest for name, each in routing.routed_revisions(self.table()).items()}

    def publish(self, catalog: Catalog, targets: Mapping[str, routing.Target]) -> routes.RouteTable:
        """Write the catalog's table; every gateway swaps to it within about a second."""
        table = routing.table_of(catalog, targets)
        self.store.connect().put(routes.KEY, routes.encode(table), content_type="application/json")
        return table

    def wait_until_loaded(self, version: str, progress: Callable[[str], None]) -> None:
        """Return when every replica serves this version of the table."""
        deadline = time.monotonic() + LOAD_TIMEOUT_S
        while behind := self._behind(version):
            if time.monotonic() > deadline:
                raise RoutesNotLoadedError(
                    f"gateway {', '.join(behind)} did not load routes {version[:8]} in {LOAD_TIMEOUT_S} s. "
                    "See its log."
                )
            time.sleep(0.2)
        progress(f"routes {version[:8]} are loaded by every gateway")

    def _behind(self, version: str) -> list[str]:
        """Replicas without this version. One that is not ready yet has no Service that leads to it."""
        try:
            statuses = self._statuses()
        except OSError as error:
            return [f"({error})"]
        return [each["replica"] for each in statuses if each["routes_version"] != version]

    def in_flight(self, deployment: str, spec_digest: str) -> int:
        """Requests in flight on one revision, over all replicas."""
        name = f"{deployment}/{spec_digest}"
        return sum(int(each["in_flight"].get(name, 0)) for each in self._statuses())

    def _statuses(self) -> list[dict[str, Any]]:
        environment = self.environment.read()
        return [_status(url, environment.gateway_token) for url in environment.gateway_urls]


class TenantsResource(dg.ConfigurableResource[None]):
    """The tenants' database."""

    environment: EnvironmentResource

    def sync_orgs(self, names: Iterable[str]) -> None:
        """Make the active organisations exactly these."""
        from slipway.tenants import TenantsDatabase

        database = TenantsDatabase(self.environment.read().tenants_db_url)
        database.migrate()
        database.sync_orgs(names)


def _status(url: str, token: str) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the URL is our own gateway's
        f"{url}/-/status", headers={"authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
        status: dict[str, Any] = json.load(reply)
    return status

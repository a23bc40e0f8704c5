"""Rules of endpoints: where the gateway of each runs, and names that would meet.

Belongs here: what can be judged offline of endpoints. Does not: their references (checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from slipway.catalog import data_planes
from slipway.catalog.catalog import Catalog
from slipway.catalog.problems import Finding

# In Dagster the gateway of an endpoint is the asset gateway/<name>, and the route table is gateway/routes.
_TAKEN = "routes"


def gateways(catalog: Catalog) -> Iterator[Finding]:
    """Each gateway has one data plane, and a name of its own."""
    planes = data_planes.kubernetes(catalog)
    for each in catalog.endpoints:
        if each.name == _TAKEN:
            yield Finding("Endpoint", each.name, ("name",), "is the route table's name. Rename the endpoint")
        if len(planes) > 1 and data_planes.of_endpoint(catalog, each) is None:
            message = (
                f"says no data plane, and deployments are on {', '.join(planes)}. Name one in data_plane"
            )
            yield Finding("Endpoint", each.name, ("data_plane",), message)

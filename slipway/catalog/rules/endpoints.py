"""Rules of endpoints: where the gateway of each runs, and names that would meet.

Belongs here: what can be judged offline of endpoints. Does not: their references (documents.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from slipway.catalog import data_planes
from slipway.catalog.catalog import Catalog
from slipway.catalog.problems import Finding

# Where parts have names, an endpoint's gateway is gateway/<name>, and the route table is gateway/routes.
_TAKEN = "routes"
_LONGEST_LABEL = 63  # RFC 1035
# Its pods carry the label `gateway-<name>-<10 characters>`.
_LONGEST_NAME = _LONGEST_LABEL - len("gateway-") - 11


def gateways(catalog: Catalog) -> Iterator[Finding]:
    """Each gateway has one data plane, and a name of its own."""
    planes = data_planes.kubernetes(catalog)
    for endpoint in catalog.endpoints:
        if endpoint.name == _TAKEN:
            yield Finding(
                "Endpoint", endpoint.name, ("name",), "is the route table's name. Rename the endpoint"
            )
        if planes and len(endpoint.name) > _LONGEST_NAME:
            message = (
                f"longer than {_LONGEST_NAME} characters, all that labels of its gateway hold. Shorten it"
            )
            yield Finding("Endpoint", endpoint.name, ("name",), message)
        if len(planes) > 1 and data_planes.of_endpoint(catalog, endpoint) is None:
            message = (
                f"says no data plane, and deployments are on {', '.join(planes)}. Name one in data_plane"
            )
            yield Finding("Endpoint", endpoint.name, ("data_plane",), message)


def hosts(catalog: Catalog) -> Iterator[Finding]:
    """A public host belongs to one endpoint; names of hosts know no case."""
    owners: dict[str, str] = {}
    for endpoint in catalog.endpoints:
        host = endpoint.host.lower()
        if host in owners:
            message = f"the host of {owners[host]}, too. Change one of them"
            yield Finding("Endpoint", endpoint.name, ("host",), message)
        owners.setdefault(host, endpoint.name)
        if not all(part and len(part) <= _LONGEST_LABEL for part in host.split(".")):
            message = f"has a part that is empty, or longer than {_LONGEST_LABEL} characters. Correct it"
            yield Finding("Endpoint", endpoint.name, ("host",), message)


def addresses(catalog: Catalog) -> Iterator[Finding]:
    """A pool is of networks and ranges that are some."""
    for endpoint in catalog.endpoints:
        for n, written in enumerate(endpoint.address_pool.addresses if endpoint.address_pool else ()):
            if not _are_addresses(written):
                message = "neither a network nor a range. Write 10.0.0.0/28, or 10.0.0.1-10.0.0.9"
                yield Finding("Endpoint", endpoint.name, ("address_pool", "addresses", n), message)


def _are_addresses(written: str) -> bool:
    first, dash, last = (part.strip() for part in written.partition("-"))
    try:
        if not dash:
            ipaddress.ip_network(written, strict=False)
            return "/" in written
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    except ValueError:
        return False
    return low.version == high.version and int(low) <= int(high)

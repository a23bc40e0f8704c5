"""What stands around the deployments of a catalog, on every Kubernetes data plane: bringing it, and drift.

Belongs here: which part of the catalog goes to which cluster.
Does not: one cluster (slipway.dataplane.kubernetes.cluster_parts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slipway.catalog import data_planes
from slipway.catalog.catalog import Catalog
from slipway.catalog.documents import Endpoint
from slipway.dataplane.errors import DataPlaneError, DataPlaneUnreachableError
from slipway.dataplane.kubernetes.cluster_parts import ClusterParts, Serving
from slipway.dataplane.kubernetes.keeping import Say, WantedParts
from slipway.dataplane.kubernetes.objects.plan import ObjectPlan
from slipway.dataplane.planes.planes import Planes
from slipway.dataplane.protocol import Report
from slipway.runtimes.rendering.cluster_settings import RenderError


@dataclass(frozen=True)
class Part:
    """One part: `data_plane/<name>` or `gateway/<endpoint>`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Drift:
    """What differs of one part, object by object; `trouble` says why that cannot be told."""

    part: Part
    plans: tuple[ObjectPlan, ...] = ()
    trouble: str = ""

    @property
    def reason(self) -> str:
        """One line of what differs; empty when nothing does."""
        named = [f"{each.action} {each.ref}" for each in self.plans]
        more = f" and {len(named) - 2} more" if len(named) > 2 else ""
        return self.trouble or ", ".join(named[:2]) + more


@dataclass(frozen=True)
class Prepared:
    """What was done for a data plane, and namespaces that lack the Secret with the store's credentials."""

    done: tuple[ObjectPlan, ...]
    without_secret: tuple[str, ...]
    secret: str


def parts(catalog: Catalog) -> tuple[Part, ...]:
    """All parts of a catalog; none when every deployment is on plain Ray."""
    planes = [Part("data_plane", name) for name in data_planes.kubernetes(catalog)]
    gateways = [
        Part("gateway", endpoint.name)
        for endpoint in catalog.endpoints
        if data_planes.of_endpoint(catalog, endpoint) is not None
    ]
    return (*planes, *gateways)


def prepare(planes: Planes, catalog: Catalog, name: str, say: Say) -> Prepared:
    """Bring what a data plane holds around its deployments. Raises DataPlaneError."""
    cluster = planes.cluster(name).cluster_parts()
    wanted = _data_plane(cluster, catalog, name)
    done = cluster.bring(wanted, say)
    return Prepared(done, cluster.missing_store_secrets(wanted), cluster.store_secret)


def serve(planes: Planes, catalog: Catalog, endpoint: Endpoint, say: Say, report: Report) -> Serving:
    """Bring an endpoint's gateway, and wait until it serves. Raises DataPlaneError or RenderError."""
    cluster = _cluster_of(planes, catalog, endpoint)
    return cluster.serve(endpoint, catalog.deployments, say, report)


def retire(planes: Planes, catalog: Catalog, say: Say) -> tuple[ObjectPlan, ...]:
    """Take gateways away from clusters that nothing of the catalog is on any more. Raises DataPlaneError.

    A cluster that is still used is rid of its own by `prepare`.
    """
    used = data_planes.kubernetes(catalog)
    left = [name for name in planes.clusters() if name not in used]
    left_clusters = [planes.cluster(name).cluster_parts() for name in left]
    return tuple(done for cluster in left_clusters for done in cluster.bring(cluster.no_gateways(), say))


def drifts(planes: Planes, catalog: Catalog, *, confirmed: bool = False) -> Iterator[Drift]:
    """Of each part, what differs; `confirmed` asks the server by a dry run of each change, as a plan does.

    A part that cannot be told of hides no other. Raises DataPlaneUnreachableError.
    """
    for part in parts(catalog):
        try:
            cluster, wanted = _wanted(planes, catalog, part)
            plans = cluster.plans(wanted, confirmed=confirmed)
        except DataPlaneUnreachableError:
            raise
        except (DataPlaneError, RenderError) as error:
            yield Drift(part, trouble=str(error))
            continue
        yield Drift(part, tuple(each for each in plans if each.action != "none"))


def _wanted(planes: Planes, catalog: Catalog, part: Part) -> tuple[ClusterParts, WantedParts]:
    if part.kind == "data_plane":
        cluster = planes.cluster(part.name).cluster_parts()
        return cluster, _data_plane(cluster, catalog, part.name)
    endpoint = next(each for each in catalog.endpoints if each.name == part.name)
    cluster = _cluster_of(planes, catalog, endpoint)
    return cluster, cluster.gateway(endpoint, catalog.deployments)


def _data_plane(cluster: ClusterParts, catalog: Catalog, name: str) -> WantedParts:
    return cluster.data_plane(data_planes.deployments(catalog, name), data_planes.endpoints(catalog, name))


def _cluster_of(planes: Planes, catalog: Catalog, endpoint: Endpoint) -> ClusterParts:
    name = data_planes.of_endpoint(catalog, endpoint)
    if name is None:
        raise DataPlaneError(
            f"endpoints[{endpoint.name}].data_plane: no Kubernetes data plane for its gateway. Name one."
        )
    return planes.cluster(name).cluster_parts()

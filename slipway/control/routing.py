"""From validated revisions to the gateway's route table: which name goes where, for whom.

Belongs here: joining a catalog's deployments with the revisions that may serve them; pure functions.
Does not: the table's type and encoding (slipway.records.routes), validating (slipway.dataplane).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from slipway.catalog import Catalog, Deployment
from slipway.catalog.resolved import digest_of
from slipway.records.routes import Route, RouteTable, build


@dataclass(frozen=True)
class Target:
    """A validated revision that a deployment's names may lead to; `upstream` ends in /v1.

    `engine_names` holds the engine's own name of each model name that it does not know as it is.
    """

    spec_digest: str
    upstream: str
    engine_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Routed:
    """What the table says of one deployment: the revision, and the digest of everything else."""

    spec_digest: str
    policy: str


def table_of(catalog: Catalog, targets: Mapping[str, Target]) -> RouteTable:
    """The table for a catalog; a deployment without a validated revision is not in it."""
    routes: list[Route] = []
    for deployment in catalog.deployments:
        target = targets.get(deployment.name)
        if target is not None:
            routes += routes_of(catalog, deployment, target)
    return build(routes)


def routes_of(catalog: Catalog, deployment: Deployment, target: Target) -> list[Route]:
    """One route per model name of a deployment, all to one revision."""
    return [
        Route(
            model=name,
            deployment=deployment.name,
            revision=target.spec_digest,
            upstreams=(target.upstream,),
            upstream_model=target.engine_names.get(name, name),
            task=catalog.model(deployment.model).task,
            sharing=deployment.sharing,
            limits=deployment.limits,
        )
        for name in deployment.served_names
    ]


def desired_policy(catalog: Catalog, deployment: Deployment) -> str:
    """Digest of what the table should say of a deployment besides its revision."""
    return _policy(routes_of(catalog, deployment, Target("any", "http://any/v1")))


def routed_revisions(table: RouteTable) -> dict[str, Routed]:
    """What the table says, by deployment; computed from the routes, so that an edited table is drift, too."""
    found: dict[str, list[Route]] = {}
    for route in table.routes:
        found.setdefault(route.deployment, []).append(route)
    return {name: Routed(routes[0].revision, _policy(routes)) for name, routes in found.items()}


def _policy(routes: Iterable[Route]) -> str:
    """Of what is the catalog's alone: engines' own names change with the revision, as its address does."""
    own = {"revision", "upstreams", "upstream_model"}
    told = [route.model_dump(mode="json", exclude=own) for route in routes]
    return digest_of(sorted(told, key=lambda route: str(route["model"])))

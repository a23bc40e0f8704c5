"""From validated revisions to the gateway's route table: which name goes where, for whom.

Belongs here: joining a catalog's deployments with the revisions that may serve them; pure functions.
Does not: the table's type and encoding (slipway.records.routes), validating (slipway.dataplane).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from slipway.catalog import Catalog, Deployment
from slipway.catalog.resolved import digest_of
from slipway.catalog.runtimes import RUNTIMES
from slipway.catalog.servers import SERVERS
from slipway.records.revisions import Revision, last_good
from slipway.records.routes import Route, RouteTable, build
from slipway.runtimes.registry import adapter


@dataclass(frozen=True)
class Target:
    """A validated revision that a deployment's names may lead to; `upstream` ends in /v1.

    `engine_names` holds the engine's own name of each model name that it does not know as it is.
    `salts_prompts`: its engine keeps prompts apart by a salt, and is asked to.
    """

    spec_digest: str
    upstream: str
    engine_names: Mapping[str, str] = field(default_factory=dict)
    salts_prompts: bool = False


def target_of(revision: Revision) -> Target:
    """The target that a recorded revision is."""
    return Target(
        revision.spec_digest, revision.upstream, revision.engine_names, salts_prompts=_salts_prompts(revision)
    )


def _salts_prompts(revision: Revision) -> bool:
    """Whether its engine takes a salt, its runtime lets it through, and tenants' prompts are to be apart."""
    server = revision.spec.get("engine", {}).get("server")
    deployment = revision.spec.get("deployment", {})
    runtime, isolates = deployment.get("runtime"), deployment.get("isolate_prompt_cache", True)
    passes = runtime not in RUNTIMES or adapter(runtime).passes_salts
    return passes and server in SERVERS and SERVERS[server].salts_prompts and bool(isolates)


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
    served_by = catalog.endpoints_of(deployment.name)
    endpoints = None if len(served_by) == len(catalog.endpoints) else served_by
    return [
        Route(
            model=public,
            deployment=deployment.name,
            revision=target.spec_digest,
            upstreams=(target.upstream,),
            upstream_model=target.engine_names.get(served, served),
            served_name=served if served != public else None,
            salts_prompts=target.salts_prompts,
            endpoints=endpoints,
            task=catalog.model(deployment.model).task,
            sharing=deployment.sharing,
            limits=deployment.limits,
            timeout_s=deployment.timeout_s,
        )
        for public, served in deployment.requested_names
    ]


def switched(table: RouteTable, catalog: Catalog, deployment: Deployment, target: Target) -> RouteTable:
    """The table with another revision behind one deployment's names, and nothing else changed.

    Names, sharing and limits stay as they are published, also its own: what the catalog says by now of
    them was not asked for. A deployment that is not in the table comes as the catalog says it.
    """
    own = [route for route in table.routes if route.deployment == deployment.name]
    others = [route for route in table.routes if route.deployment != deployment.name]
    led = {
        "revision": target.spec_digest,
        "upstreams": (target.upstream,),
        "salts_prompts": target.salts_prompts,
    }
    moved = [
        route.model_copy(
            update={
                **led,
                "upstream_model": target.engine_names.get(route.name_of_revision, route.name_of_revision),
            }
        )
        for route in own
    ]
    return build([*others, *(moved or routes_of(catalog, deployment, target))])


def to_route(records: Sequence[Revision], live: frozenset[str], routed: str | None) -> Revision | None:
    """Of these, the one that tenants should reach: the last validated one that is there.

    `live` are the spec digests that serve, `routed` is the one that the routes name now. When no validated
    one serves (a cluster was lost and is being filled again) the route stays, unless its revision failed.
    """
    by_digest = {each.spec_digest: each for each in records}
    serving = last_good([each for each in records if each.spec_digest in live])
    if serving is not None:
        return serving
    current = by_digest.get(routed or "")
    unwanted = current is None or current.state in ("failed", "withdrawn")
    return last_good(records) if unwanted else current


def desired_policy(catalog: Catalog, deployment: Deployment) -> str:
    """Digest of what the table should say of a deployment besides its revision."""
    return _policy(routes_of(catalog, deployment, Target("any", "http://any/v1")))


def routed_revisions(table: RouteTable) -> dict[str, Routed]:
    """What the table says, by deployment; computed from the routes, so that an edited table is drift, too."""
    by_deployment: dict[str, list[Route]] = {}
    for route in table.routes:
        by_deployment.setdefault(route.deployment, []).append(route)
    return {name: Routed(routes[0].revision, _policy(routes)) for name, routes in by_deployment.items()}


def routed_digests(table: RouteTable) -> dict[str, str]:
    """The spec digest behind each deployment's names."""
    return {route.deployment: route.revision for route in table.routes}


def _policy(routes: Iterable[Route]) -> str:
    """Of what is the catalog's alone: engines' own names change with the revision, as its address does."""
    own = {"revision", "upstreams", "upstream_model", "salts_prompts"}
    told = [route.model_dump(mode="json", exclude=own) for route in routes]
    return digest_of(sorted(told, key=lambda route: str(route["model"])))

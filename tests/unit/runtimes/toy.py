"""Runtime `toy`, as CONTRIBUTING says that one is added: a module, and a line in the registry.

Belongs here: all that is particular about it: rendering, refusals, names, judging. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.adapter import Adapter, Example, OnKubernetes
from slipway.runtimes.judging.objects import Object, annotations_of, is_observed
from slipway.runtimes.judging.verdict import Judge, Seen, Target, Verdict, Wanted
from slipway.runtimes.rendering import flows, identity, pods, public, refusing
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, StoreAddress
from slipway.runtimes.rendering.rendered import Address, Rendered, workload_of
from slipway.runtimes.workload import Kind, WorkloadKind

API = "toys.example/v1"


def render(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Rendered:
    """A ToyServer that is told the whole deployment, and its cache."""
    metadata = identity.metadata(resolved, cluster)
    told = resolved.deployment.model_dump(mode="json", exclude={"name"})
    spec = {"image": pods.image(resolved), "size": resolved.deployment.replicas, "deployment": told}
    server = {"apiVersion": API, "kind": "ToyServer", "metadata": metadata, "spec": spec}
    cache = {"apiVersion": API, "kind": "ToyCache", "metadata": metadata, "spec": {}}
    address = Address(identity.namespace(resolved, cluster), identity.object_name(resolved), 80)
    policy = flows.engine_policy(resolved, cluster, identity.selector(resolved), (80,))
    made = tuple(public.objects(resolved, cluster, address))
    return Rendered(workload_of(server), (policy, cache, server), address, made)


def refusals(deployment: Deployment, engine: Engine | None = None) -> list[tuple[str, str]]:
    """(field, reason) for everything in a deployment that it cannot honour."""
    return refusing.only(
        {
            "adapters": (bool(deployment.adapters), "are for grown-ups. Remove them"),
            "engine": (engine is not None and engine.server != "infinity", "is no toy. Name another"),
        }
    )


def targets(wanted: Wanted) -> Mapping[str, Target]:
    """The one ToyServer."""
    ref = wanted.workload
    return {
        ref.kind: Target(ref.api_version, ref.kind, ref.namespace, fields=f"metadata.name={ref.name}"),
        "Pod": Target("v1", "Pod", ref.namespace, labels=f"toy={ref.name}"),
    }


def verdict(wanted: Wanted, seen: Seen) -> Verdict:
    """Its status is honest once it is of this generation."""
    server = seen.named("ToyServer", wanted.workload.name)
    if server is None:
        return Verdict("missing", "the ToyServer is not there")
    if annotations_of(server).get(identity.SPEC_DIGEST) != wanted.spec_digest:
        return Verdict("overtaken", "it has another spec")
    size, ready = int(server["spec"]["size"]), int((server.get("status") or {}).get("ready") or 0)
    if not is_observed(server) or ready < size:
        return Verdict("waiting", f"{ready} of {size} are ready", ready, size)
    return Verdict("serving" if size else "idle", "all are ready", ready, size)


def park(server: Object) -> None:
    """Its own word for zero."""
    server["spec"]["size"] = 0


def store_annotations(store: StoreAddress) -> dict[str, str]:
    """Where it looks for the store."""
    return {"toys.example/store": store.endpoint_url}


ADAPTER = Adapter(
    servers=frozenset({"infinity"}),
    refusals=refusals,
    longest_name=lambda _: 20,
    kubernetes=OnKubernetes(
        render=render,
        workloads=(
            WorkloadKind(
                api_version=API,
                kind="ToyServer",
                resource="toyservers",
                judge=Judge(targets, verdict),
                park=park,
                is_scaled=True,
                operator_writes=(".spec.colour",),
            ),
        ),
        kinds=(Kind(API, "ToyCache", "toycaches", "with mounts"),),
        reads=(("toys.example", "toyboxes"),),
        pod_security="baseline",
        store_annotations=store_annotations,
    ),
    example=Example(server="infinity"),
)

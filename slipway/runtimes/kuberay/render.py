"""Runtime `kuberay`: one RayService per namespace, and in it an application per deployment, by path.

Belongs here: the service, its applications and their addresses; what cannot be honoured.
Does not: the cluster of pods below it (raycluster.py), applications on Ray without Kubernetes
(slipway.runtimes.ray). Fields: ray.io/v1 at the commit in testbed/crds/SOURCES.tsv; ServeDeploySchema and
LLMConfig of Ray 2.60.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.servers import OURS, SERVERS, VLLM
from slipway.runtimes.arguments import keywords as arguments
from slipway.runtimes.kuberay import raycluster
from slipway.runtimes.ray import render as ray_render
from slipway.runtimes.rendering import (
    extras,
    flows,
    identity,
    pods,
    public,
    refusing,
    telemetry,
    vllm_args,
)
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Address, Object, Rendered, workload_of
from slipway.runtimes.rendering.weights_access import weights_access

# Digest of the cluster below the service, which is the digest in its pods' environment.
CLUSTER_DIGEST = "slipway.dev/cluster-digest"

_LLM_APPLICATION = "ray.serve.llm:build_openai_app"
_OLD_CLUSTER_KEPT_S = 60


def render(
    resolved: ResolvedDeployment, cluster: ClusterSettings, beside: Sequence[ResolvedDeployment] = ()
) -> Rendered:
    """The RayService with this revision's application and those that stay beside it.

    `beside` is everything else that the service is to serve in the same namespace: other deployments, and
    the revision of this one that still has traffic. What is not named is removed.
    """
    home = identity.namespace(resolved, cluster)
    together = sorted((*beside, resolved), key=identity.object_name)
    for member in together:
        if identity.namespace(member, cluster) != home:
            raise RenderError.at(member.name, f"isolation.namespace: is not {home}. Render it there.")
    service = ray_service(together, cluster, home)
    where = address(resolved, cluster)
    return Rendered(
        workload=workload_of(service),
        objects=(_policy(service, cluster), service, *_monitor(together, service, cluster)),
        address=where,
        public=tuple(public.objects(resolved, cluster, where)),
        engine_names=_engine_names(resolved),
    )


def address(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Address:
    """The service's proxies on all nodes, and the application's path."""
    name = f"{cluster.ray_service}-serve-svc"
    return Address(identity.namespace(resolved, cluster), name, pods.PORT, route_prefix(resolved))


def route_prefix(resolved: ResolvedDeployment) -> str:
    """In place the public path itself; two revisions beside each other need one each."""
    deployment = resolved.deployment
    if deployment.rollout.strategy == "in-place" and deployment.path is not None:
        return deployment.path
    return f"/{identity.object_name(resolved)}"


def ray_service(together: Sequence[ResolvedDeployment], cluster: ClusterSettings, home: str) -> Object:
    """The RayService that serves all of these, in their order."""
    ray_cluster, digest = raycluster.ray_cluster(together, cluster)
    deadline_s = max(pods.deadline_s(each) for each in together)
    config = {
        "proxy_location": "EveryNode",
        "applications": [application(each, cluster) for each in together],
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {
            "name": cluster.ray_service,
            "namespace": home,
            "labels": {
                identity.MANAGED_BY: identity.SLIPWAY,
                identity.INSTANCE: cluster.ray_service,
            },
            "annotations": {CLUSTER_DIGEST: digest, "ray.io/initializing-timeout": f"{deadline_s}s"},
        },
        "spec": {
            # `None` would never apply a change of the cluster, and say nothing.
            "upgradeStrategy": {"type": "NewCluster"},
            "rayClusterDeletionDelaySeconds": _OLD_CLUSTER_KEPT_S,
            # With workers gone at zero replicas, the head's proxy is the only endpoint left.
            "excludeHeadPodFromServeSvc": False,
            "serveConfigV2": yaml.safe_dump(config, sort_keys=False),
            "rayClusterConfig": ray_cluster,
        },
    }


def application(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    """One element of `applications`: our own engines as on plain Ray, vLLM by Ray Serve LLM."""
    if SERVERS[resolved.engine.server].is_ours:
        return {**ray_render.render(resolved), "route_prefix": route_prefix(resolved)}
    return {
        "name": identity.object_name(resolved),
        "route_prefix": route_prefix(resolved),
        "import_path": _LLM_APPLICATION,
        "args": {"llm_configs": [_llm_config(resolved, cluster)]},
        "logging_config": {"enable_access_log": False},
    }


def _llm_config(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    deployment, access = resolved.deployment, weights_access(cluster.store, resolved.model.prefix)
    env = pods.environment(resolved, extras.environment(deployment))
    config: dict[str, Any] = {
        "model_loading_config": {"model_id": resolved.name, "model_source": access.uri},
        "log_engine_metrics": deployment.telemetry,
        "engine_kwargs": {"load_format": "runai_streamer", **_keywords(resolved, cluster)},
        "deployment_config": {
            **ray_render.replicas_or_autoscaling(deployment),
            "max_ongoing_requests": ray_render.ongoing(deployment),
            "graceful_shutdown_timeout_s": ray_render.shutdown_s(deployment),
        },
    }
    if resolved.adapters:
        # One directory for all adapters: an id is `<name>/<commit>` below weights/.
        lora = {
            "dynamic_lora_loading_path": weights_access(cluster.store, "weights").uri,
            "max_num_adapters_per_replica": len(resolved.adapters),
        }
        config["lora_config"] = lora
    gpu, cores = deployment.resources.gpu, {"CPU": raycluster.cores(resolved)}
    if gpu is None:
        # Without it Ray Serve LLM takes the engine for one on a GPU, and waits for a card for ever.
        config["placement_group_config"] = {"bundles": [cores]}
    else:
        share = gpu.fraction if gpu.fraction is not None else 1
        nodes = deployment.nodes_per_replica
        bundles = [{"GPU": share, **(cores if n == 0 else {})} for n in range(gpu.count * nodes)]
        config["placement_group_config"] = {"bundles": bundles}
        if gpu.fraction is not None:
            # Limits where a worker is put, not the memory that it takes.
            env["VLLM_RAY_PER_WORKER_GPUS"] = f"{gpu.fraction:g}"
    config["runtime_env"] = {"env_vars": env}
    return config


def _keywords(resolved: ResolvedDeployment, cluster: ClusterSettings) -> dict[str, Any]:
    """Options of `vllm serve` as keywords, of its engine and of its server: Ray Serve LLM takes both."""
    keywords = arguments.of(vllm_args.server_args(resolved, cluster))
    share = resolved.deployment.resources.gpu.fraction if resolved.deployment.resources.gpu else None
    if share is not None:
        keywords.setdefault("gpu_memory_utilization", round(share * 0.9, 3))
    return keywords


def _engine_names(resolved: ResolvedDeployment) -> dict[str, str]:
    """Ray Serve LLM takes `model:adapter`; our own application takes an adapter's own name."""
    if SERVERS[resolved.engine.server].is_ours:
        return {}
    served = zip(resolved.deployment.adapters, resolved.adapters, strict=True)
    return {
        adapter.model_name: f"{resolved.name}:{pinned.name}/{pinned.commit}" for adapter, pinned in served
    }


def _monitor(
    together: Sequence[ResolvedDeployment], service: Object, cluster: ClusterSettings
) -> list[Object]:
    """Ray tells the metrics of all its applications at one port of each pod."""
    measured = [each for each in together if telemetry.wanted(each, cluster)]
    if not measured:
        return []
    (monitor,) = telemetry.pod_monitor(
        measured[0], cluster, raycluster.pod_labels(cluster), raycluster.METRICS_PORT
    )
    named = service["metadata"]
    return [{**monitor, "metadata": {name: named[name] for name in ("name", "namespace", "labels")}}]


def _policy(service: Object, cluster: ClusterSettings) -> Object:
    """The service's pods are of many deployments: one policy for all of them."""
    metadata = service["metadata"]
    named = {name: metadata[name] for name in ("name", "namespace", "labels")}
    themselves = {"podSelector": {"matchLabels": raycluster.pod_labels(cluster)}}
    senders = [cluster.gateway, *filter(None, [cluster.prometheus])]
    return flows.policy(
        named,
        raycluster.pod_labels(cluster),
        ingress=[
            {
                "from": [flows.peer(sender) for sender in senders],
                "ports": flows.tcp(pods.PORT, raycluster.METRICS_PORT),
            },
            {"from": [themselves, *flows.control_plane(cluster)]},
        ],
        egress=[flows.dns_flow(), flows.store_flow(cluster), {"to": [themselves]}, flows.api_flow()],
    )


def refusals(deployment: Deployment, engine: Engine | None = None) -> list[tuple[str, str]]:
    """(field, reason) for everything in a deployment that KubeRay cannot honour."""
    server = engine.server if engine is not None else VLLM
    ours = SERVERS[server].is_ours
    of_ray = ("replicas", "autoscaling.", "rollout.surge", "load_balancing.strategy")
    refused: refusing.Refused = {
        **{
            name: rule
            for name, rule in refusing.of_a_pod(deployment).items()
            if name != "resources.gpu.fraction"
        },
        **{
            field: (True, reason)
            for field, reason in ray_render.refusals(deployment)
            if field.startswith(of_ray)
        },
        **refusing.of_pods(
            deployment,
            {"files": refusing.FILES, "probes": "are Ray Serve's own, which asks its replicas. Remove them"},
            ("placement.", "volumes", "ca.", "resources.", "max_ongoing_requests"),
        ),
        **refusing.of_parallelism(
            deployment,
            "is a replica's, and Ray Serve LLM has copies as replicas alone. Set replicas",
            ("tensor", "pipeline", "expert"),
            server,
        ),
        "secrets": (
            bool(deployment.secrets),
            "would be readable by every application of the Ray cluster. Use another runtime",
        ),
        "resources.limits.cpu": (
            deployment.resources.limits.cpu is not None,
            "is a pod's, and replicas of several deployments share Ray's pods. Remove it",
        ),
        "resources.limits.memory": (
            deployment.resources.limits.memory is not None,
            "is a pod's, and replicas of several deployments share Ray's pods. Remove it",
        ),
        **refusing.of_ours(deployment, server),
        "isolation.network_policy": (
            not deployment.isolation.network_policy,
            "is false, and all deployments of a Ray cluster share one policy. Remove it",
        ),
        "resources.volume_size": (
            deployment.resources.volume_size is not None and ours,
            f"is a replica's, and {server}'s replicas share their node's cache. Remove it",
        ),
        "engine": (
            server not in (*OURS, VLLM),
            f"is {server}, and Ray hosts {', '.join(OURS)} and vllm. Name another",
        ),
    }
    return [*refusing.only(refused), *refusing.of_engine(deployment, server)]

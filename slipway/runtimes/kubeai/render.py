"""Runtime `kubeai`: a Model of KubeAI, which makes the pods, balances over them and scales them.

Belongs here: the Model, and what KubeAI takes only from its own configuration, as Helm values.
Does not: installing those values (whoever runs KubeAI), its proxy.
Fields: kubeai.org/v1 at the commit in testbed/crds/SOURCES.tsv; charts/kubeai/values.yaml there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from slipway.catalog.deployment import Autoscaling, Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.fields import Task
from slipway.catalog.resolved import ResolvedDeployment, digest_of
from slipway.catalog.servers import VLLM, ServerName
from slipway.runtimes.rendering import flows, gpu, identity, pods, refusing, telemetry, vllm_args
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, Pods, RenderError
from slipway.runtimes.rendering.rendered import Address, Object, Rendered, workload_of
from slipway.runtimes.rendering.weights_access import weights_access

PROXY = Pods("", {"app.kubernetes.io/name": "kubeai"})

ENGINES: Mapping[ServerName, str] = {VLLM: "VLLM", "infinity": "Infinity", "faster-whisper": "FasterWhisper"}
# Also how its list of models is asked for others than text generation, which is all that it lists unasked.
FEATURES: Mapping[Task, str] = {
    "text-generation": "TextGeneration",
    "embedding": "TextEmbedding",
    "rerank": "Reranking",
    "speech-to-text": "SpeechToText",
}
_PROXY_PORT = 80
_PROXY_PATH = "/openai"


def render(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Rendered:
    """The Model of one revision; raises RenderError where the cluster's settings lack something."""
    model, values = _model(resolved, cluster), helm_values(resolved, cluster)
    name, home = model["metadata"]["name"], cluster.kubeai
    policy = flows.engine_policy(
        resolved,
        cluster,
        {"model": name},
        (pods.PORT,),
        also_from=(Pods(home.namespace, PROXY.labels),),
    )
    policy["metadata"]["namespace"] = home.namespace
    monitors = telemetry.pod_monitor(resolved, cluster, {"model": name}, "http")
    for monitor in monitors:
        monitor["metadata"]["namespace"] = home.namespace
    adapters = {
        adapter.model_name: f"{name}_{adapter.model_name}" for adapter in resolved.deployment.adapters
    }
    return Rendered(
        workload=workload_of(model),
        objects=(policy, model, *monitors),
        address=Address(home.namespace, home.name, _PROXY_PORT, _PROXY_PATH),
        engine_names={resolved.name: name, **adapters},
        operator_values=values,
    )


def _model(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    deployment, server = resolved.deployment, resolved.engine.server
    access = weights_access(cluster.store, resolved.model.prefix)
    # KubeAI passes values on as plain text: what is secret comes from whole Secrets.
    secrets = [cluster.store.secret, *dict.fromkeys(str(each.secret) for each in deployment.secrets)]
    spec: dict[str, Any] = {
        "engine": ENGINES[server],
        "features": [_feature(resolved)],
        "url": access.uri,
        "image": pods.image(resolved),
        "resourceProfile": _profile(resolved, cluster),
        "args": vllm_args.engine_args(resolved, cluster) if server == VLLM else list(deployment.args),
        # There is no pod template to annotate: the digest travels by environment alone.
        "env": pods.environment(resolved, access.env),
        "envFrom": [{"secretRef": {"name": name}} for name in secrets],
        **_replicas(deployment),
        "loadBalancing": _balancing(deployment),
        **_cache(resolved, cluster),
    }
    if resolved.adapters:
        adapters = zip(deployment.adapters, resolved.adapters, strict=True)
        spec["adapters"] = [
            {"name": served.model_name, "url": weights_access(cluster.store, pinned.prefix).uri}
            for served, pinned in adapters
        ]
    metadata = {
        **identity.metadata(resolved, cluster),
        "namespace": cluster.kubeai.namespace,
    }
    return {"apiVersion": "kubeai.org/v1", "kind": "Model", "metadata": metadata, "spec": spec}


def _feature(resolved: ResolvedDeployment) -> str:
    if resolved.task not in FEATURES:
        raise RenderError.at(
            resolved.name,
            f"model: its task is {resolved.task}, and KubeAI's are "
            f"{', '.join(FEATURES)}. Use another runtime.",
        )
    return FEATURES[resolved.task]


def _cache(resolved: ResolvedDeployment, cluster: ClusterSettings) -> dict[str, str]:
    """VLLM streams from S3; for the others a Job copies to a shared volume first."""
    if resolved.engine.server == VLLM:
        return {}
    if cluster.kubeai_cache_profile is None:
        raise RenderError.at(
            resolved.name,
            f"engine = {resolved.engine.name}: is {resolved.engine.server}, "
            "which reads no S3, and KubeAI has no cache profile to copy weights to. Name one, or use vLLM.",
        )
    return {"cacheProfile": cluster.kubeai_cache_profile}


def _replicas(deployment: Deployment) -> dict[str, Any]:
    """Bounds only: `replicas` is the operator's, also where there is one number."""
    scaling = deployment.autoscaling
    if scaling is None:
        fixed = deployment.replicas
        return {
            "minReplicas": fixed,
            "maxReplicas": fixed,
            "targetRequests": 100,
            "scaleDownDelaySeconds": 30,
        }
    return {
        "minReplicas": 0 if scaling.idle == "zero" else scaling.min_replicas,
        "maxReplicas": scaling.max_replicas,
        "targetRequests": int(scaling.target.ongoing_requests or 1),
        "scaleDownDelaySeconds": math.ceil(scaling.downscale_delay_s),
    }


def _balancing(deployment: Deployment) -> Object:
    balancing = deployment.load_balancing
    if balancing.strategy == "least-load":
        return {"strategy": "LeastLoad"}
    prefix = {
        "meanLoadFactor": balancing.load_factor_percent,
        "prefixCharLength": balancing.prefix_length,
        "replication": 256,
    }
    return {"strategy": "PrefixHash", "prefixHash": prefix}


def _profile(resolved: ResolvedDeployment, cluster: ClusterSettings) -> str:
    """`<profile>:<multiple>`; a profile that KubeAI does not know would show in its log alone."""
    wanted = resolved.deployment.resources.profile or f"{_own_profile(resolved, cluster)[0]}:1"
    name, known = wanted.partition(":")[0], cluster.kubeai_profiles
    if known is not None and name not in known:
        raise RenderError.at(
            resolved.name,
            f"resources.profile = {name}: KubeAI's configuration has "
            f"{', '.join(sorted(known)) or 'none'}. Add it to KubeAI's Helm values, or name "
            "one of these.",
        )
    return wanted if ":" in wanted else f"{wanted}:1"


def _own_profile(resolved: ResolvedDeployment, cluster: ClusterSettings) -> tuple[str, Object]:
    """The profile that a deployment with resources of its own needs; its name follows from its content."""
    deployment = resolved.deployment
    content: Object = {
        **pods.resource_lists(resolved, cluster),
        "nodeSelector": gpu.node_selector(deployment, cluster),
        "tolerations": gpu.tolerations(deployment, cluster),
        "runtimeClassName": gpu.runtime_class(deployment, cluster),
    }
    content = {name: value for name, value in content.items() if value}
    return f"slipway-{digest_of(content)[:8]}", content


def helm_values(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    """Values of KubeAI's chart that this deployment needs: resources come from its configuration alone."""
    values: Object = {
        # A surge pod that finds no GPU hangs for ever; with adapters even terminating pods are counted.
        "modelRollouts": {"surge": 0},
        "modelServerPods": {
            "podSecurityContext": pods.pod_security(),
            "securityContext": {**pods.container_security(), "readOnlyRootFilesystem": False},
        },
    }
    if resolved.deployment.resources.profile is None:
        name, content = _own_profile(resolved, cluster)
        values["resourceProfiles"] = {name: content}
    return values


def refusals(deployment: Deployment, engine: Engine | None = None) -> list[tuple[str, str]]:
    """(field, reason) for everything in a deployment that KubeAI cannot honour."""
    server = engine.server if engine is not None else VLLM
    refused = {
        **refusing.of_a_pod(deployment),
        **_refused_resources(deployment),
        **_refused_placement(deployment),
        "load_balancing.strategy": (False, ""),
        "adapters": (
            bool(deployment.adapters) and server != VLLM,
            f"are read by KubeAI's vLLM alone, and the engine is {server}. Remove them",
        ),
        "engine": (
            server not in ENGINES,
            f"is {server}, and KubeAI reads the local store for {', '.join(ENGINES)} alone. Name another",
        ),
    }
    if deployment.autoscaling is not None:
        refused |= _refused_scaling(deployment.autoscaling)
    else:
        refused["replicas"] = (deployment.replicas < 1, "is 0. Use autoscaling with idle: zero")
    return refusing.only(refused)


def _refused_scaling(scaling: Autoscaling) -> refusing.Refused:
    target, given = scaling.target, scaling.model_fields_set
    unseen = "is not measured by KubeAI. Use autoscaling.target.ongoing_requests"
    ongoing = target.ongoing_requests
    return {
        "autoscaling.target.cpu_percent": (target.cpu_percent is not None, unseen),
        "autoscaling.target.memory_percent": (target.memory_percent is not None, unseen),
        "autoscaling.target.queue_depth": (target.queue_depth is not None, unseen),
        "autoscaling.target.ongoing_requests": (
            ongoing is None or not float(ongoing).is_integer(),
            "is missing or no whole number, and KubeAI scales by whole requests. Round it",
        ),
        "autoscaling.upscale_delay_s": (
            "upscale_delay_s" in given,
            "is one setting of the whole of KubeAI (modelAutoscaling.timeWindow). Remove it",
        ),
        "autoscaling.idle": (scaling.idle == "sleep", "is sleep, which KubeAI does not know. Use zero"),
        "autoscaling.idle_after_s": (
            "idle_after_s" in given and scaling.idle_after_s != scaling.downscale_delay_s,
            "differs from downscale_delay_s, and KubeAI has one delay for both. Remove it",
        ),
    }


def _refused_resources(deployment: Deployment) -> refusing.Refused:
    resources = deployment.resources
    has_profile = resources.profile is not None
    twice = "is part of a KubeAI profile, and resources.profile names one. Remove either"
    no_volume = "exists nowhere in a KubeAI Model. Remove it"
    return {
        "resources.profile": (False, ""),
        "resources.requests.cpu": (has_profile and resources.requests.cpu is not None, twice),
        "resources.requests.memory": (has_profile and resources.requests.memory is not None, twice),
        "resources.limits.cpu": (has_profile and resources.limits.cpu is not None, twice),
        "resources.limits.memory": (has_profile and resources.limits.memory is not None, twice),
        "node_selector": (has_profile and bool(deployment.node_selector), twice),
        "tolerations": (has_profile and bool(deployment.tolerations), twice),
        "isolation.runtime_class": (has_profile and deployment.isolation.runtime_class is not None, twice),
        "resources.volume_size": (resources.volume_size is not None, no_volume),
        "resources.volume_class": (resources.volume_class is not None, no_volume),
    }


def _refused_placement(deployment: Deployment) -> refusing.Refused:
    isolation = deployment.isolation
    shared = "is not ours to say: all of KubeAI's models share its own namespace. Remove it"
    return {
        "nodes_per_replica": (
            deployment.nodes_per_replica > 1,
            "is more than 1, and KubeAI's are pods. Set it to 1",
        ),
        "isolation.namespace": (isolation.namespace is not None, shared),
        "isolation.quota": (isolation.quota is not None, shared),
        "alias": (
            deployment.alias,
            "leads to one Service for all models. Remove it",
        ),
        "rollout.surge": (
            deployment.rollout.surge > 0,
            "is one setting of the whole of KubeAI (modelRollouts.surge), and 0 there. Set it to 0",
        ),
        "rollout.drain_s": (
            "drain_s" in deployment.rollout.model_fields_set and deployment.rollout.strategy == "in-place",
            "is not ours to say: KubeAI ends pods by itself. Remove it, or use blue-green",
        ),
        "secrets": (
            any(each.secret is None or each.key not in (None, each.name) for each in deployment.secrets),
            "must be a secret with the variable's name as its key: KubeAI takes it whole. Rename it",
        ),
    }

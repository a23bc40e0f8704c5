"""Runtime `kubeai`: a Model of KubeAI, which makes the pods, balances over them and scales them.

Belongs here: the Model, and what KubeAI takes only from its own configuration, as Helm values.
Does not: installing those values (whoever runs KubeAI), its proxy.
Fields: kubeai.org/v1 at the commit in testbed/crds/SOURCES.tsv; charts/kubeai/values.yaml there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from slipway.catalog.deployment import Deployment
from slipway.catalog.fields import Task
from slipway.catalog.resolved import ResolvedDeployment, digest_of
from slipway.catalog.servers import VLLM, ServerName
from slipway.runtimes.rendering import extras, flows, gpu, identity, pods, telemetry, vllm_args
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
        "args": vllm_args.server_args(resolved, cluster) if server == VLLM else list(deployment.args),
        # There is no pod template to annotate: the digest travels by environment alone.
        "env": pods.environment(resolved, access.env),
        "envFrom": [{"secretRef": {"name": name}} for name in secrets],
        **_replicas(deployment),
        "loadBalancing": _balancing(deployment),
        **_cache(resolved, cluster),
    }
    if deployment.files:
        spec["files"] = [file.model_dump() for file in deployment.files]
    if deployment.placement.priority_class is not None:
        spec["priorityClassName"] = deployment.placement.priority_class
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
        "affinity": extras.affinity(deployment),
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

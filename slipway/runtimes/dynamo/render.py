"""Runtime `dynamo`: a DynamoGraphDeployment of a frontend and vLLM workers.

Belongs here: the graph, its adapters and its scaler. Does not: installing Dynamo, filling the weights' claim.
Fields: nvidia.com/v1beta1 (v1alpha1 is deprecated), docs of ai-dynamo/dynamo; testbed/crds/SOURCES.tsv.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.rendering import (
    extras,
    flows,
    gpu,
    identity,
    pods,
    public,
    scaling,
    telemetry,
    vllm_args,
)
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Address, Object, Rendered, Workload, workload_of
from slipway.runtimes.rendering.weights_access import weights_access

_API = "nvidia.com/v1beta1"
_WEIGHTS = "/models"
_FRONTEND, _WORKER = "Frontend", "Worker"
_SYSTEM_PORT = 9090
# A worker of another shape, since Dynamo 1.3 (ai-dynamo/dynamo#9713).
_TASK_ARGS: Mapping[str, tuple[str, ...]] = {"embedding": ("--embedding-worker",)}
_VERSION = re.compile(r"(?:0|[1-9]\d{0,3})(?:\.(?:0|[1-9]\d{0,3})){2}")


def render(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Rendered:
    """The objects of one revision; raises RenderError where the cluster's settings lack something."""
    graph = _graph(resolved, cluster)
    name = identity.object_name(resolved)
    frontend = f"{name}-{_FRONTEND.lower()}"
    address = Address(identity.namespace(resolved, cluster), frontend, pods.PORT)
    adapter = Workload(
        _API, "DynamoGraphDeploymentScalingAdapter", address.namespace, f"{name}-{_WORKER.lower()}"
    )
    return Rendered(
        workload=workload_of(graph),
        objects=(
            flows.engine_policy(resolved, cluster, identity.selector(resolved), (pods.PORT, _SYSTEM_PORT)),
            graph,
            *_adapters(resolved, cluster),
            *_scaler(resolved, cluster, adapter, address),
        ),
        address=address,
        public=tuple(public.objects(resolved, cluster, address)),
    )


def _graph(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    metadata = identity.metadata(resolved, cluster)
    # The operator makes PodMonitors by itself.
    measured = "true" if telemetry.wanted(resolved, cluster) else "false"
    annotations = identity.object_annotations(resolved, cluster)
    metadata["annotations"] = {**annotations, "nvidia.com/enable-metrics": measured}
    return {
        "apiVersion": _API,
        "kind": "DynamoGraphDeployment",
        "metadata": metadata,
        "spec": {
            "backendFramework": "vllm",
            "components": [_frontend(resolved, cluster), _worker(resolved, cluster)],
        },
    }


def _frontend(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    balancing = resolved.deployment.load_balancing
    router = {"DYN_ROUTER_MODE": "kv" if balancing.strategy == "prefix-hash" else "least-loaded"}
    env = {**router, identity.SPEC_DIGEST_ENV: resolved.spec_digest}
    container = {
        "name": "main",
        "image": pods.image(resolved),
        "env": pods.env_list({**pods.home_environment(), **env}, {}),
        "securityContext": pods.container_security(),
        "volumeMounts": pods.mounts(),
    }
    return {
        "name": _FRONTEND,
        "type": "frontend",
        "replicas": 1,
        "runtimeVersionOverride": _runtime_version(resolved),
        "podTemplate": _template(resolved, cluster, container, on_gpu=False),
    }


def _worker(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    deployment = resolved.deployment
    component: dict[str, Any] = {
        "name": _WORKER,
        "type": "worker",
        "modelRef": {"name": resolved.name},
        "sharedMemorySize": extras.shared_memory(deployment),
        "runtimeVersionOverride": _runtime_version(resolved),
        "podTemplate": _template(resolved, cluster, _engine(resolved, cluster), on_gpu=True),
    }
    if deployment.autoscaling is None:
        component["replicas"] = deployment.replicas
    else:
        component["scalingAdapter"] = {}  # its replicas win over the component's
    if deployment.nodes_per_replica > 1:
        component["multinode"] = {"nodeCount": deployment.nodes_per_replica}
    if cluster.compile_cache_claim is not None:
        component["compilationCache"] = {"pvcName": cluster.compile_cache_claim}
    return component


def _engine(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    access = weights_access(cluster.store, resolved.model.prefix)
    env = {
        "DYN_SYSTEM_ENABLED": "true",
        "DYN_SYSTEM_PORT": str(_SYSTEM_PORT),
        # Dynamo's own reader of adapters does not know the SDK's name for this.
        "AWS_ENDPOINT": cluster.store.endpoint_url,
        **({"DYN_LORA_ENABLED": "true"} if resolved.adapters else {}),
    }
    added = extras.environment(resolved.deployment)
    merged = pods.environment(resolved, pods.home_environment(), access.env, env, added)
    return {
        "name": "main",
        "image": pods.image(resolved),
        "command": ["python3", "-m", "dynamo.vllm"],
        "args": [
            f"--model={_WEIGHTS}/{resolved.model.prefix.rstrip('/')}",
            "--load-format=runai_streamer",
            f"--served-model-name={resolved.name}",
            *_TASK_ARGS.get(resolved.task, ()),
            # Its frontend takes no salt, so a cache shared by tenants is off.
            *vllm_args.engine_args(resolved, replace(cluster, gateway_salts_prompts=False)),
        ],
        "env": pods.env_list(merged, pods.secret_environment(resolved, access.secret_env)),
        "resources": pods.resource_lists(resolved, cluster),
        "securityContext": pods.container_security(resolved),
        "volumeMounts": [
            *pods.mounts(),
            {"name": "weights", "mountPath": _WEIGHTS, "readOnly": True},
            *extras.mounts(resolved.deployment),
        ],
    }


def _template(
    resolved: ResolvedDeployment, cluster: ClusterSettings, container: Object, *, on_gpu: bool
) -> Object:
    deployment = resolved.deployment
    volumes = [pods.cache_volume(resolved) if on_gpu else {"name": "cache", "emptyDir": {}}]
    volumes.append({"name": "tmp", "emptyDir": {}})
    if on_gpu:
        claim = {"claimName": _weights_claim(resolved, cluster), "readOnly": True}
        volumes.append({"name": "weights", "persistentVolumeClaim": claim})
        volumes += extras.volumes(deployment)
    spec: Object = {
        "automountServiceAccountToken": True,  # workers find each other through the API server
        "securityContext": pods.pod_security(),
        "terminationGracePeriodSeconds": pods.grace_s(resolved),
        "containers": [container],
        "volumes": volumes,
    }
    if cluster.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in cluster.pull_secrets]
    runtime_class = gpu.runtime_class(deployment, cluster)
    if runtime_class is not None:
        spec["runtimeClassName"] = runtime_class
    if on_gpu:
        placed = {
            "nodeSelector": gpu.node_selector(deployment, cluster),
            "tolerations": gpu.tolerations(deployment, cluster),
        }
        spec |= {name: value for name, value in placed.items() if value}
        spec |= extras.of_pod(deployment, identity.selector(resolved))
    metadata = {"labels": identity.pod_labels(resolved), "annotations": identity.pod_annotations(resolved)}
    return {"metadata": metadata, "spec": spec}


def _weights_claim(resolved: ResolvedDeployment, cluster: ClusterSettings) -> str:
    if cluster.weights_claim is None:
        raise RenderError.at(
            resolved.name,
            "runtime = dynamo: its workers read weights from a volume claim, "
            "and none is named. Name the claim that holds a copy of the store's weights/.",
        )
    return cluster.weights_claim


def _runtime_version(resolved: ResolvedDeployment) -> str:
    """Dynamo reads its version off the image's tag, and an image by digest has none."""
    version = tagged_version(resolved.engine, resolved.deployment)
    if version is None:
        raise RenderError(
            f"engines[{resolved.engine.name}].images.{resolved.deployment.accelerator}.tag: Dynamo must know "
            "its own version, such as 1.3.1. Write the tag beside the digest."
        )
    return version


def tagged_version(engine: Engine, deployment: Deployment) -> str | None:
    """The version that an image's tag tells."""
    listed = engine.images.get(deployment.accelerator)
    matched = _VERSION.search(listed.tag or "") if listed is not None else None
    return matched[0] if matched is not None else None


def _adapters(resolved: ResolvedDeployment, cluster: ClusterSettings) -> list[Object]:
    models = []
    adapters = zip(resolved.deployment.adapters, resolved.adapters, strict=True)
    for served, pinned in adapters:
        name = f"{identity.object_name(resolved)}-{served.model_name}"
        spec = {
            "baseModelName": resolved.name,
            "modelName": served.model_name,
            "modelType": "lora",
            "source": {"uri": weights_access(cluster.store, pinned.prefix).uri},
        }
        metadata = identity.metadata(resolved, cluster, name)
        models.append(
            {"apiVersion": "nvidia.com/v1alpha1", "kind": "DynamoModel", "metadata": metadata, "spec": spec}
        )
    return models


def _scaler(
    resolved: ResolvedDeployment, cluster: ClusterSettings, target: Workload, address: Address
) -> list[Object]:
    """A scaler of the worker; what is measured of vLLM is said by Prometheus alone here."""
    if resolved.deployment.autoscaling is not None and cluster.prometheus_url is None:
        raise RenderError.at(
            resolved.name,
            "autoscaling: Dynamo's load is told to Prometheus alone. Connect one, or remove autoscaling.",
        )
    return scaling.scaler(resolved, cluster, target, address)

"""Runtime `nim`: a NIMService, with a NIMCache where replicas share a volume.

Belongs here: both objects. Does not: the licence (the engine's api_key names its Secret).
Fields: apps.nvidia.com/v1alpha1 at the commit in testbed/crds/SOURCES.tsv.
"""

from __future__ import annotations

import math
from typing import Any

from slipway.catalog.deployment import Autoscaling, Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.arguments import layout
from slipway.runtimes.rendering import (
    extras,
    flows,
    gpu,
    identity,
    pods,
    public,
    refusing,
    scaling,
    telemetry,
)
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Address, Object, Rendered, workload_of
from slipway.runtimes.rendering.weights_access import weights_access

_API = "apps.nvidia.com/v1alpha1"


def render(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Rendered:
    """The objects of one revision; raises RenderError for a missing key."""
    service = _service(resolved, cluster)
    address = Address(identity.namespace(resolved, cluster), identity.object_name(resolved), pods.PORT)
    return Rendered(
        workload=workload_of(service),
        objects=(
            flows.engine_policy(resolved, cluster, identity.selector(resolved), (pods.PORT,)),
            *_cache(resolved, cluster),
            service,
        ),
        address=address,
        public=tuple(public.objects(resolved, cluster, address)),
    )


def _environment(resolved: ResolvedDeployment, cluster: ClusterSettings) -> list[Object]:
    """NIM reads the store as a mirror of NGC's layout, by the same variables as any AWS client."""
    access = weights_access(cluster.store, resolved.model.prefix)
    env = pods.environment(
        resolved,
        access.env,
        {
            "NIM_REPOSITORY_OVERRIDE": f"{access.uri}/",
            "NIM_SERVED_MODEL_NAME": resolved.name,
            # One cache for all tenants, without a salt: its speed tells what others asked.
            "NIM_ENABLE_KV_CACHE_REUSE": "0" if resolved.deployment.isolate_prompt_cache else "1",
        },
    )
    return pods.env_list(env, pods.secret_environment(resolved, access.secret_env))


def _cache(resolved: ResolvedDeployment, cluster: ClusterSettings) -> list[Object]:
    """Filled once by a Job; without a volume asked for, every pod downloads into its own directory."""
    resources = resolved.deployment.resources
    if resources.volume_size is None:
        return []
    claim: Object = {"create": True, "size": resources.volume_size, "volumeAccessMode": "ReadWriteMany"}
    if resources.volume_class is not None:
        claim["storageClass"] = resources.volume_class
    deployment = resolved.deployment
    spec: Object = {
        "source": {
            "ngc": {
                "modelPuller": pods.image(resolved),
                "pullSecret": _pull_secrets(resolved, cluster)[0],
                "authSecret": _api_secret(resolved),
                "model": {"tensorParallelism": str(deployment.resources.gpu.count)}
                if deployment.resources.gpu is not None
                else {},
            }
        },
        "storage": {"pvc": claim},
        "env": _environment(resolved, cluster),
        "tolerations": gpu.tolerations(deployment, cluster),
        "nodeSelector": gpu.node_selector(deployment, cluster),
    }
    return [_object("NIMCache", resolved, cluster, _filled(spec))]


def _service(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    deployment = resolved.deployment
    repository, _, digest = pods.image(resolved).partition("@")
    spec: Object = {
        # The operator joins the two by a colon, and a digest after a tag is what counts.
        "image": {
            "repository": repository,
            "tag": f"mirrored@{digest}",
            "pullPolicy": "IfNotPresent",
            "pullSecrets": _pull_secrets(resolved, cluster),
        },
        "authSecret": _api_secret(resolved),
        "labels": identity.pod_labels(resolved),
        "annotations": identity.pod_annotations(resolved),
        "args": list(deployment.args),
        "env": _environment(resolved, cluster),
        "storage": _storage(resolved),
        "resources": {
            name: amounts
            for name, amounts in pods.resource_lists(resolved, cluster).items()
            if name != "claims"  # draResources says them
        },
        "userID": pods.USER,
        "groupID": pods.USER,
        "nodeSelector": gpu.node_selector(deployment, cluster),
        "tolerations": gpu.tolerations(deployment, cluster),
        "runtimeClassName": gpu.runtime_class(deployment, cluster),
        "expose": {"service": {"type": "ClusterIP", "port": pods.PORT}},
        # Without the Prometheus operator's kinds, metrics that are on make the service Failed.
        "metrics": {"enabled": telemetry.wanted(resolved, cluster), "serviceMonitor": {}},
        "affinity": extras.affinity(deployment),
        "priorityClassName": deployment.placement.priority_class,
        "draResources": [{"resourceClaimTemplateName": each} for each in deployment.resources.device_claims],
        **_probes(resolved),
        **_scale(deployment),
    }
    if deployment.nodes_per_replica > 1:
        divided = layout.of(deployment)
        parallel = {"tensor": divided.tensor, "pipeline": divided.pipeline}
        spec["multiNode"] = {"backendType": "lws", "parallelism": parallel}
    return _object("NIMService", resolved, cluster, _filled(spec))


def _scale(deployment: Deployment) -> dict[str, Any]:
    """Either a number or a scale: the API server refuses an object that has both."""
    auto = deployment.autoscaling
    if auto is None:
        return {"replicas": deployment.replicas}
    hpa = {
        "minReplicas": auto.min_replicas,
        "maxReplicas": auto.max_replicas,
        "metrics": scaling.resource_metrics(auto),
        "behavior": scaling.behavior(auto),
    }
    return {"scale": {"enabled": True, "hpa": hpa}}


def _storage(resolved: ResolvedDeployment) -> Object:
    shared_memory = {"sharedMemorySizeLimit": extras.shared_memory(resolved.deployment)}
    if resolved.deployment.resources.volume_size is None:
        return {"emptyDir": {}, **shared_memory}
    return {"nimCache": {"name": identity.object_name(resolved), "profile": ""}, **shared_memory}


def _probes(resolved: ResolvedDeployment) -> Object:
    """Loading may take as long as the rollout's deadline; the others are the operator's unless written."""
    starting = {
        "httpGet": {"path": "/v1/health/ready", "port": "api"},
        "periodSeconds": 10,
        "failureThreshold": math.ceil(pods.deadline_s(resolved) / 10),
    }
    written = resolved.deployment.probes
    others = {"readinessProbe": ("ready", written.readiness), "livenessProbe": ("live", written.liveness)}
    probes = {"startupProbe": extras.over(starting, written.startup)} | {
        name: extras.over({"httpGet": {"path": f"/v1/health/{path}", "port": "api"}}, probe)
        for name, (path, probe) in others.items()
        if probe is not None
    }
    return {name: {"enabled": True, "probe": probe} for name, probe in probes.items()}


def _api_secret(resolved: ResolvedDeployment) -> str:
    """Secret with NGC_API_KEY; without it the service would be NotReady for ever, and never Failed."""
    key = resolved.engine.api_key
    if key is None or key.secret is None:
        raise RenderError(
            f"engines[{resolved.engine.name}].api_key: NIM needs a licence key from a Kubernetes secret. "
            "Name it."
        )
    return key.secret


def _pull_secrets(resolved: ResolvedDeployment, cluster: ClusterSettings) -> list[str]:
    """Of the registry that images are mirrored to; the operator does not go without."""
    if not cluster.pull_secrets:
        raise RenderError.at(
            resolved.name,
            "runtime = nim: its operator wants a pull secret, and the cluster's "
            "registry has none. Name the registry's Kubernetes secret.",
        )
    return list(cluster.pull_secrets)


def _filled(spec: Object) -> Object:
    return {name: value for name, value in spec.items() if value not in (None, [], {})}


def _object(kind: str, resolved: ResolvedDeployment, cluster: ClusterSettings, spec: Object) -> Object:
    metadata = identity.metadata(resolved, cluster)
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}


def refusals(deployment: Deployment, engine: Engine | None = None) -> list[tuple[str, str]]:
    """(field, reason) for everything in a deployment that the NIM operator cannot honour."""
    auto, rollout = deployment.autoscaling, deployment.rollout
    refused: refusing.Refused = {
        **scaling.refused(deployment),
        **refusing.of_a_pod(deployment),
        **refusing.of_pods(
            deployment,
            {
                "volumes": "are no field of a NIMService. Remove them",
                "files": "are no field of a NIMService. Remove them",
                "ca": "is no field of a NIMService's pods. Remove it, or put it into the image",
                "max_ongoing_requests": refusing.ONGOING,
                "placement.spread": "is no field of a NIMService. Use placement.node_affinity",
            },
            ("placement.node_affinity", "placement.priority_class", "probes.", "resources."),
        ),
        "resources.device_claims": (
            bool(deployment.resources.device_claims) and rollout.strategy == "in-place",
            "can never change in a NIMService. Use blue-green",
        ),
        **refusing.of_parallelism(
            deployment,
            "is chosen by a NIM itself, with its profile for the cards of a node. Remove it",
            ("tensor", "pipeline") if deployment.nodes_per_replica > 1 else (),
        ),
        "adapters": (
            bool(deployment.adapters),
            "must lie in NIM's model store, and its operator mounts that into no init container. Remove them",
        ),
        "resources.gpu": (
            deployment.resources.gpu is None,
            "is missing, and NIM needs one. Add resources.gpu",
        ),
        "rollout.surge": (rollout.surge > 0, "is not ours to say: the NIM operator has none. Set it to 0"),
        "rollout.drain_s": (
            "drain_s" in rollout.model_fields_set and rollout.strategy == "in-place",
            "is not ours to say: a NIMService has no such field. Remove it, or use blue-green",
        ),
        "nodes_per_replica": (
            deployment.nodes_per_replica > 1 and auto is not None,
            "is more than 1, and the NIM operator does not scale such replicas. Remove autoscaling",
        ),
        "resources.gpu.vendor": (
            deployment.accelerator not in ("cpu", "nvidia"),
            f"is {deployment.accelerator}, and NIMs are for NVIDIA's. Use another runtime",
        ),
        "engine": (
            engine is not None
            and (engine.server != "nim" or engine.api_key is None or engine.api_key.secret is None),
            "is no NIM with an api_key from a Kubernetes secret. Name one of server nim, and that secret",
        ),
    }
    return refusing.only(refused if auto is None else {**refused, **_of_autoscaling(auto)})


def _of_autoscaling(auto: Autoscaling) -> refusing.Refused:
    by_requests = "is not seen by the NIM operator's autoscaler. Use cpu_percent or memory_percent"
    return {
        "autoscaling.target.ongoing_requests": (auto.target.ongoing_requests is not None, by_requests),
        "autoscaling.target.queue_depth": (auto.target.queue_depth is not None, by_requests),
        "autoscaling.idle": (auto.idle != "keep", f"is {auto.idle}, and a NIM keeps running. Use keep"),
        "autoscaling.idle_after_s": (
            "idle_after_s" in auto.model_fields_set,
            "is for deployments that do not stay up, and a NIM does. Remove it",
        ),
    }

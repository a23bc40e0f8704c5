"""The pods below a RayService: a head that runs nothing, and a worker group per accelerator and image.

Belongs here: `rayClusterConfig` and its digest. Does not: what runs on it (render.py).

A change here starts a second cluster beside the first, so it depends on little: a group's pods have the size
of the largest replica among those that share it, and numbers of pods are the autoscaler's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from slipway.catalog.fields import cpu_in_millicores, size_in_bytes
from slipway.catalog.resolved import ResolvedDeployment, digest_of
from slipway.runtimes.rendering import extras, gpu, identity, pods
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object
from slipway.runtimes.rendering.weights_access import node_cache_access, weights_access

METRICS_PORT = 8080

_HEAD = {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}
_IDLE_S = 300
# Set by the operator on the pods of a worker group.
_GROUP_LABEL = "ray.io/group"
# Without a port of the name `serve` at the head, the operator makes no Service, and no cluster ever active.
_PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "metrics": METRICS_PORT, "serve": pods.PORT}
# What Ray itself takes of a worker: its agents, a proxy and the raylet had 0.8 GB with Ray 2.60. Without room
# for them, Ray's memory monitor ends the replicas.
_RAY_BYTES = 2**30


def pod_labels(cluster: ClusterSettings) -> dict[str, str]:
    """Labels of all pods of the service."""
    return {identity.INSTANCE: cluster.ray_service}


def cores(resolved: ResolvedDeployment) -> float:
    """Cores that one replica reserves in Ray; one where the catalog says none."""
    return cpu_in_millicores(resolved.deployment.resources.requests.cpu or "1") / 1000


def ray_cluster(together: Sequence[ResolvedDeployment], cluster: ClusterSettings) -> tuple[Object, str]:
    """`rayClusterConfig` for all of these, and its digest, which every pod carries in its environment."""
    groups: dict[str, list[ResolvedDeployment]] = {}
    for resolved in together:
        groups.setdefault(_group_name(resolved, cluster), []).append(resolved)
    config: Object = {
        "rayVersion": cluster.ray_version,
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "idleTimeoutSeconds": _IDLE_S,
            "securityContext": {**pods.container_security(), "readOnlyRootFilesystem": False},
        },
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", "num-gpus": "0"},
            "template": _head(together, cluster),
        },
        "workerGroupSpecs": [_group(name, groups[name], cluster) for name in sorted(groups)],
    }
    digest = digest_of(config)
    for template in (config["headGroupSpec"], *config["workerGroupSpecs"]):
        container = template["template"]["spec"]["containers"][0]
        container["env"].append({"name": identity.SPEC_DIGEST_ENV, "value": digest})
    return config, digest


def _group_name(resolved: ResolvedDeployment, cluster: ClusterSettings) -> str:
    """Replicas that may share pods: the same image on the same kind of node."""
    deployment = resolved.deployment
    placed = [
        pods.image(resolved),
        sorted(gpu.amounts(deployment, cluster)),
        gpu.node_selector(deployment, cluster),
        gpu.tolerations(deployment, cluster),
        gpu.runtime_class(deployment, cluster),
        deployment.resources.volume_class,
    ]
    placed += [each for each in _added(resolved) if each]
    return f"{deployment.accelerator}-{digest_of([str(each) for each in placed])[:6]}"


def _added(resolved: ResolvedDeployment) -> list[Any]:
    """What a deployment adds to its pods: only replicas with the same may share them."""
    deployment, resources = resolved.deployment, resolved.deployment.resources
    return [
        extras.of_pod(deployment, {}),
        extras.volumes(deployment),
        extras.mounts(deployment),
        resources.shared_memory,
        resources.extended,
    ]


def _head(together: Sequence[ResolvedDeployment], cluster: ClusterSettings) -> Object:
    image = cluster.ray_head_image or pods.image(together[0])
    container = {**_container("ray-head", image, cluster), "resources": _HEAD}
    # The autoscaler beside it asks the API server for pods.
    return _template([container], cluster, {"automountServiceAccountToken": True})


def _group(name: str, members: list[ResolvedDeployment], cluster: ClusterSettings) -> Object:
    first, most = members[0], sum(_most_replicas(each) for each in members)
    container = _container("ray-worker", pods.image(first), cluster)
    container["resources"] = _size(members, cluster)
    deployment = first.deployment
    container["volumeMounts"] = [*pods.mounts(shared_memory=True), *extras.mounts(deployment)]
    placed: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": max(pods.grace_s(each) for each in members),
        "nodeSelector": gpu.node_selector(deployment, cluster),
        "tolerations": gpu.tolerations(deployment, cluster),
        "runtimeClassName": gpu.runtime_class(deployment, cluster),
        "volumes": [
            pods.cache_volume(max(members, key=_volume_bytes)),
            {"name": "tmp", "emptyDir": {}},
            {
                "name": "shm",
                "emptyDir": {"medium": "Memory", "sizeLimit": extras.shared_memory(deployment)},
            },
            *extras.volumes(deployment),
        ],
        **extras.of_pod(deployment, {**pod_labels(cluster), _GROUP_LABEL: name}),
    }
    kept = {key: value for key, value in placed.items() if value not in (None, [], {})}
    return {
        "groupName": name,
        "minReplicas": 0,
        "maxReplicas": max(most, 1),
        "rayStartParams": {},
        "template": _template([container], cluster, kept),
    }


def _container(name: str, image: str, cluster: ClusterSettings) -> Object:
    engines = weights_access(cluster.store, "weights")
    ours = node_cache_access(cluster.store, f"{pods.CACHE}/weights", None)
    env = {**engines.env, **ours.env}
    return {
        "name": name,
        "image": image,
        "env": pods.env_list(env, {**engines.secret_env, **ours.secret_env}),
        "ports": [{"name": port_name, "containerPort": port} for port_name, port in _PORTS.items()],
        # Ray writes its session below /tmp and its virtual environments wherever it is told.
        "securityContext": {**pods.container_security(), "readOnlyRootFilesystem": False},
    }


def _template(containers: list[Object], cluster: ClusterSettings, spec: Object) -> Object:
    pull = [{"name": name} for name in cluster.pull_secrets]
    around = {"securityContext": pods.pod_security(), **({"imagePullSecrets": pull} if pull else {})}
    metadata = {"labels": pod_labels(cluster)}
    return {"metadata": metadata, "spec": {**around, **spec, "containers": containers}}


def _size(members: list[ResolvedDeployment], cluster: ClusterSettings) -> Object:
    """Room for Ray and the largest replica of each kind of resource; Ray packs smaller ones together."""
    cpu = max(cores(each) for each in members)
    memory = [each.deployment.resources.requests.memory for each in members]
    known = [each for each in memory if each is not None]
    requests: dict[str, str] = {"cpu": f"{round(cpu * 1000)}m"}
    limits: dict[str, str] = {}
    if known:
        mebibytes = math.ceil((max(map(size_in_bytes, known)) + _RAY_BYTES) / 2**20)
        requests["memory"] = limits["memory"] = f"{mebibytes}Mi"
    for member in members:
        for name, count in gpu.amounts(member.deployment, cluster).items():
            limits[name] = requests[name] = str(max(int(count), int(limits.get(name, "0"))))
        for name, number in member.deployment.resources.extended.items():
            limits[name] = requests[name] = str(number)
    size: Object = {"requests": requests, "limits": limits} if limits else {"requests": requests}
    claims = extras.claims(members[0].deployment)
    return {**size, "claims": claims} if claims else size


def _most_replicas(resolved: ResolvedDeployment) -> int:
    deployment = resolved.deployment
    most = deployment.autoscaling.max_replicas if deployment.autoscaling else deployment.replicas
    return (most + deployment.rollout.surge) * deployment.nodes_per_replica


def _volume_bytes(resolved: ResolvedDeployment) -> int:
    return size_in_bytes(resolved.deployment.resources.volume_size or "0")

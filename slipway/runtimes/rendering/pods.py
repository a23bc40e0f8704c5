"""The pod around an engine, alike on every runtime that takes a pod template.

Belongs here: security, volumes, environment, probes, placement, and how a pod ends.
Does not: what the engine is told (vllm_args.py, own_app.py), the object around the pod.
Security follows the Pod Security Standard `restricted`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.rendering import extras, gpu, identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object, plain
from slipway.runtimes.rendering.weights_access import SecretKey, WeightsAccess

PORT = 8000
PORT_NAME = "http"
CACHE = "/cache"
USER = 10_001

_PROBE_PERIOD_S = 5
# Time for kube-proxy and the gateway to stop sending before the process is told to end.
_UNROUTED_S = 5
_DRAINED_S = 5
_LAST_WORDS_S = 20


@dataclass(frozen=True)
class Program:
    """What runs in the engine's container."""

    args: Sequence[str]
    access: WeightsAccess
    command: Sequence[str] | None = None  # None: the image's own
    env: Mapping[str, str] = field(default_factory=dict)
    health: str = "/health"
    ready: str = "/health"
    drain: Sequence[str] | None = None  # waits until no request runs; None: the process does so itself
    shared_memory: bool = False
    serves: bool = True  # False: a worker of a group, which answers no HTTP


def image(resolved: ResolvedDeployment) -> str:
    """The engine's image, by digest; raises RenderError when only a tag is known."""
    if resolved.image is not None:
        reference: str | None = resolved.image
    else:
        listed = resolved.engine.images.get(resolved.deployment.accelerator)
        reference = f"{listed.image}@{listed.digest}" if listed is not None and listed.digest else None
    if reference is None or "@sha256:" not in reference:
        field = f"engines[{resolved.engine.name}].images.{resolved.deployment.accelerator}"
        raise RenderError(
            f"{field}: no digest is known, and a tag may be another image tomorrow. "
            "Mirror the engine's image, or give the digest."
        )
    return reference


def environment(resolved: ResolvedDeployment, *given: Mapping[str, str]) -> dict[str, str]:
    """Variables with plain values; the deployment's win over the engine's, those over `given`."""
    merged: dict[str, str] = {}
    for variables in (*given, resolved.engine.env, resolved.deployment.env):
        merged |= variables
    return {**merged, identity.SPEC_DIGEST_ENV: resolved.spec_digest}


def secret_environment(resolved: ResolvedDeployment, *given: Mapping[str, SecretKey]) -> dict[str, SecretKey]:
    """Variables whose values lie in Secrets; a key is named as its variable unless said otherwise."""
    merged: dict[str, SecretKey] = {}
    for variables in given:
        merged |= variables
    for own in resolved.deployment.secrets:
        if own.secret is not None:
            merged[own.name] = SecretKey(own.secret, own.key or own.name)
    return merged


def env_list(plain_env: Mapping[str, str], secret_env: Mapping[str, SecretKey]) -> list[Object]:
    """`env` of a container, in a fixed order."""
    entries: list[Object] = [{"name": name, "value": value} for name, value in plain_env.items()]
    for name, secret in secret_env.items():
        entries.append(
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret.secret, "key": secret.key}}}
        )
    return entries


def home_environment() -> dict[str, str]:
    """Everything that engines write beside /tmp goes to the cache volume: the image is read-only."""
    return {
        # Libraries ask for the user's name, and the image has none for this number.
        "USER": "slipway",
        "HOME": f"{CACHE}/home",
        "XDG_CACHE_HOME": f"{CACHE}/home/.cache",
        "TMPDIR": "/tmp",  # noqa: S108 (a volume of the pod)
    }


def resource_lists(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    """Requests and limits of the engine's container; extended resources stand in both, alike."""
    resources = resolved.deployment.resources
    cards = gpu.amounts(resolved.deployment, cluster)
    extended = {**cards, **{name: str(count) for name, count in resources.extended.items()}}
    lists: Object = {
        "requests": {**resources.requests.model_dump(exclude_none=True), **extended},
        "limits": {**resources.limits.model_dump(exclude_none=True), **extended},
        "claims": extras.claims(resolved.deployment),
    }
    return {name: amounts for name, amounts in lists.items() if amounts}


def container_security(resolved: ResolvedDeployment | None = None) -> Object:
    """Pod Security `restricted`, and a root file system that nothing can be written to where that works.

    NVIDIA's container toolkit writes the loader's cache into the container (nvidia-cdi-hook).
    """
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": resolved is None or resolved.deployment.accelerator != "nvidia",
        "capabilities": {"drop": ["ALL"]},
    }


def pod_security() -> Object:
    """Of the whole pod; the group owns the volumes."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def deadline_s(resolved: ResolvedDeployment) -> int:
    """Whole seconds for a revision to be serving; Kubernetes knows no fractions."""
    return max(math.ceil(resolved.deployment.rollout.deadline_s), 1)


def drain_s(resolved: ResolvedDeployment) -> int:
    """Longest wait of an ending pod for its requests; a blue-green one was drained before it ends."""
    rollout = resolved.deployment.rollout
    return math.ceil(rollout.drain_s) if rollout.strategy == "in-place" else _DRAINED_S


def grace_s(resolved: ResolvedDeployment) -> int:
    """Time for a pod to end before it is killed."""
    return _UNROUTED_S + drain_s(resolved) + _LAST_WORDS_S


def template(
    resolved: ResolvedDeployment,
    cluster: ClusterSettings,
    program: Program,
    init: Sequence[Object] = (),
) -> Object:
    """A pod template, as plain values: made of typed models, so that a misspelt field cannot be."""
    from kubernetes import client

    deployment = resolved.deployment
    pod = client.V1PodSpec(
        automount_service_account_token=False,
        enable_service_links=False,  # their variables would clash with engines' own, such as VLLM_PORT
        security_context=pod_security(),
        image_pull_secrets=[{"name": name} for name in cluster.pull_secrets] or None,
        runtime_class_name=gpu.runtime_class(deployment, cluster),
        node_selector=gpu.node_selector(deployment, cluster) or None,
        tolerations=gpu.tolerations(deployment, cluster) or None,
        termination_grace_period_seconds=grace_s(resolved),
        init_containers=list(init) or None,
        containers=[_container(resolved, cluster, program)],
        volumes=_volumes(resolved, program),
    )
    added = extras.of_pod(deployment, identity.selector(resolved))
    metadata = client.V1ObjectMeta(
        labels=identity.pod_labels(resolved), annotations=identity.pod_annotations(resolved)
    )
    made: Object = plain(client.V1PodTemplateSpec(metadata=metadata, spec=pod))
    made["spec"] |= added
    return made


def _container(resolved: ResolvedDeployment, cluster: ClusterSettings, program: Program) -> Any:
    from kubernetes import client

    added = extras.environment(resolved.deployment)
    env = environment(resolved, home_environment(), program.access.env, program.env, added)
    return client.V1Container(
        name="engine",
        image=image(resolved),
        command=list(program.command) if program.command is not None else None,
        args=list(program.args),
        env=env_list(env, secret_environment(resolved, program.access.secret_env)),
        ports=[{"name": PORT_NAME, "containerPort": PORT}] if program.serves else None,
        resources=resource_lists(resolved, cluster),
        security_context=container_security(resolved),
        volume_mounts=[*mounts(program.shared_memory), *extras.mounts(resolved.deployment)],
        lifecycle=_lifecycle(resolved, program),
        **(_probes(resolved, program) if program.serves else {}),
    )


def mounts(shared_memory: bool = False) -> list[Object]:
    """Where a container sees the pod's volumes."""
    always = [{"name": "cache", "mountPath": CACHE}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    return [*always, {"name": "shm", "mountPath": "/dev/shm"}] if shared_memory else always  # noqa: S108


def _volumes(resolved: ResolvedDeployment, program: Program) -> list[Any]:
    volumes: list[Object] = [cache_volume(resolved), {"name": "tmp", "emptyDir": {}}]
    if program.shared_memory:
        size = extras.shared_memory(resolved.deployment)
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}})
    return [*volumes, *extras.volumes(resolved.deployment)]


def cache_volume(resolved: ResolvedDeployment) -> Object:
    """Room for weights and compiled kernels: a volume of the replica's own, or the node's disk."""
    resources = resolved.deployment.resources
    if resources.volume_size is None:
        return {"name": "cache", "emptyDir": {}}
    claim: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": resources.volume_size}},
    }
    if resources.volume_class is not None:
        claim["storageClassName"] = resources.volume_class
    return {"name": "cache", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}


def _probes(resolved: ResolvedDeployment, program: Program) -> dict[str, Any]:
    def probe(path: str, failures: int, timeout_s: int) -> Object:
        return {
            "httpGet": {"path": path, "port": PORT_NAME},
            "periodSeconds": _PROBE_PERIOD_S,
            "failureThreshold": failures,
            "timeoutSeconds": timeout_s,
        }

    # Loading may take as long as the rollout's deadline; the kubelet must not be the one that gives up first.
    loading = math.ceil(deadline_s(resolved) / _PROBE_PERIOD_S)
    written = resolved.deployment.probes
    return {
        "startup_probe": extras.over(probe(program.health, loading, 5), written.startup),
        "readiness_probe": extras.over(probe(program.ready, 2, 5), written.readiness),
        # An engine under load answers late; a restart would cost a whole load.
        "liveness_probe": extras.over(probe(program.health, 12, 10), written.liveness),
    }


def _lifecycle(resolved: ResolvedDeployment, program: Program) -> Any:
    in_place = resolved.deployment.rollout.strategy == "in-place"
    if program.drain is not None and in_place:
        return {"preStop": {"exec": {"command": list(program.drain)}}}
    return {"preStop": {"sleep": {"seconds": _UNROUTED_S}}}

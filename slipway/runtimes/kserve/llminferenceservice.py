"""KServe's LLMInferenceService: vLLM with adapters, or over several nodes.

Belongs here: the object. Does not: when it is the one to use (render.py).
Fields: serving.kserve.io/v1alpha2 and config/llmisvcconfig/config-llm-template.yaml of kserve/kserve at the
commit in testbed/crds/SOURCES.tsv: container `main` appends its args to `vllm serve`, in a shell.
"""

from __future__ import annotations

import math
import shlex
from typing import Any

from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.arguments import layout, parsing
from slipway.runtimes.kserve import inferenceservice
from slipway.runtimes.rendering import extras, gpu, identity, pods, scaling, vllm_args
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Address, Object
from slipway.runtimes.rendering.weights_access import weights_access

POD_PORT = 8000

# What the controller says itself, from fields of the object; layers are its to divide over nodes alone.
_ITS_OWN = frozenset({layout.TENSOR, "enable-lora"})
_ITS_OWN_OVER_NODES = _ITS_OWN | {layout.PIPELINE}


def address(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Address:
    """The Service that the controller makes over the engines."""
    name = f"{identity.object_name(resolved)}-kserve-workload-svc"
    return Address(identity.namespace(resolved, cluster), name, POD_PORT)


def service(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    """The LLMInferenceService of one revision; raises RenderError where engines would speak https."""
    if cluster.kserve_tls:
        raise RenderError.at(
            resolved.name,
            "runtime = kserve: KServe gives its engines certificates that nobody "
            "else trusts. Switch enableLLMInferenceServiceTLS off in KServe's configuration.",
        )
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": identity.metadata(resolved, cluster),
        "spec": _spec(resolved, cluster),
    }


def _spec(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    deployment = resolved.deployment
    surge = deployment.rollout.surge
    spec: dict[str, Any] = {
        "model": _model(resolved, cluster),
        "annotations": identity.pod_annotations(resolved),
        # KServe puts these into its Deployment's selector, which cannot change: not the revision's.
        "labels": identity.selector(resolved),
        "rolloutStrategy": {"maxSurge": surge, "maxUnavailable": 0 if surge else 1},
        **_replicas(resolved, cluster),
        "template": _pod(resolved, cluster),
    }
    divided = layout.of(deployment)
    if deployment.nodes_per_replica > 1:
        spec["parallelism"] = {"tensor": divided.tensor, "pipeline": divided.pipeline}
        spec["worker"] = _pod(resolved, cluster)
    elif divided.tensor > 1:
        spec["parallelism"] = {"tensor": divided.tensor}
    return spec


def _model(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    adapters = zip(resolved.deployment.adapters, resolved.adapters, strict=True)
    listed = [
        {"name": served.model_name, "uri": weights_access(cluster.store, pinned.prefix).uri}
        for served, pinned in adapters
    ]
    model: Object = {
        "uri": weights_access(cluster.store, resolved.model.prefix).uri,
        "name": resolved.name,
    }
    return {**model, "lora": {"maxAdapters": len(listed), "adapters": listed}} if listed else model


def _replicas(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    """Either a number or scaling: the API server refuses an object that has both."""
    auto = resolved.deployment.autoscaling
    if auto is None:
        return {"replicas": resolved.deployment.replicas}
    # Without `advanced`: the CRD's rule against a name of the HPA fails where there is none, and the operator
    # leaves an empty one out when it writes the object back, which then is refused for ever.
    keda: Object = {
        "pollingInterval": scaling.POLLING_S,
        "cooldownPeriod": math.ceil(auto.idle_after_s),
        "triggers": scaling.triggers(resolved, auto, cluster, address(resolved, cluster)),
    }
    if auto.idle == "zero":
        keda["idleReplicaCount"] = 0  # below minReplicas, which is 1 then: the API server asks for that
    least = max(auto.min_replicas, 1)
    return {"scaling": {"minReplicas": least, "maxReplicas": auto.max_replicas, "keda": keda}}


def _pod(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    deployment = resolved.deployment
    sleep = vllm_args.SLEEP_ENV if vllm_args.sleeps(resolved) else {}
    env = pods.environment(resolved, sleep, extras.environment(deployment))
    its_own = _ITS_OWN_OVER_NODES if deployment.nodes_per_replica > 1 else _ITS_OWN
    args = parsing.without(parsing.parse(vllm_args.server_args(resolved, cluster)), its_own)
    main: Object = {
        "name": "main",
        "image": pods.image(resolved),
        "args": [shlex.quote(arg) for arg in args],
        "env": pods.env_list(env, pods.secret_environment(resolved)),
        "resources": inferenceservice.bounded(resolved, cluster),
        "securityContext": pods.container_security(resolved),
        **extras.probes(deployment, POD_PORT),
    }
    if mounts := extras.mounts(deployment):
        main["volumeMounts"] = mounts
    placed = {
        "volumes": extras.volumes(deployment),
        **extras.of_pod(deployment, identity.selector(resolved)),
        "nodeSelector": gpu.node_selector(deployment, cluster),
        "tolerations": gpu.tolerations(deployment, cluster),
        "runtimeClassName": gpu.runtime_class(deployment, cluster),
        "imagePullSecrets": [{"name": name} for name in cluster.pull_secrets],
    }
    return {
        "serviceAccountName": identity.object_name(resolved),
        "automountServiceAccountToken": False,
        "securityContext": pods.pod_security(),
        "terminationGracePeriodSeconds": pods.grace_s(resolved),
        "containers": [main],
        **{name: value for name, value in placed.items() if value},
    }

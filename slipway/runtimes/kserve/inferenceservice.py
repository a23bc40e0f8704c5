"""KServe's InferenceService: vLLM, or the (deprecated) Hugging Face server, by a cluster serving runtime.

Belongs here: the object. Does not: when it is the one to use (render.py).
Fields: serving.kserve.io/v1beta1 and config/runtimes of kserve/kserve (testbed/crds/SOURCES.tsv).
"""

from __future__ import annotations

from typing import Any

from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.rendering import extras, gpu, identity, pods, scaling, vllm_args
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Address, Object
from slipway.runtimes.rendering.weights_access import weights_access

POD_PORT = 8080
_SERVICE_PORT = 80

# Engine server -> (model format, cluster serving runtime).
_FORMATS = {"vllm": ("vLLM", "kserve-vllmserver"), "huggingface": ("huggingface", "kserve-huggingfaceserver")}
_HUGGING_FACE_TASKS = {
    "text-generation": "text_generation",
    "embedding": "text_embedding",
    "rerank": "sequence_classification",
    "classification": "sequence_classification",
}


def address(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Address:
    """The predictor's Service; the Hugging Face server answers below /openai."""
    path = "/openai" if resolved.engine.server == "huggingface" else ""
    name = f"{identity.object_name(resolved)}-predictor"
    return Address(identity.namespace(resolved, cluster), name, _SERVICE_PORT, path)


def service(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    """The InferenceService of one revision."""
    metadata = identity.metadata(resolved, cluster)
    annotations: Any = metadata["annotations"]
    metadata["annotations"] = {
        **annotations,
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": _autoscaler_class(resolved),
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {"predictor": _predictor(resolved, cluster)},
    }


def _autoscaler_class(resolved: ResolvedDeployment) -> str:
    """With `hpa` minReplicas 0 stays 1, so what counts requests or goes to zero takes KEDA."""
    auto = resolved.deployment.autoscaling
    if auto is None:
        return "none"
    return "keda" if scaling.needs_keda(auto) else "hpa"


def _predictor(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    deployment = resolved.deployment
    placed = {
        "nodeSelector": gpu.node_selector(deployment, cluster),
        "tolerations": gpu.tolerations(deployment, cluster),
        "runtimeClassName": gpu.runtime_class(deployment, cluster),
        "imagePullSecrets": [{"name": name} for name in cluster.pull_secrets],
    }
    surge = deployment.rollout.surge
    return {
        "serviceAccountName": identity.object_name(resolved),
        "automountServiceAccountToken": False,
        "annotations": identity.pod_annotations(resolved),
        "labels": identity.pod_labels(resolved),
        "securityContext": pods.pod_security(),
        "terminationGracePeriodSeconds": pods.grace_s(resolved),
        "deploymentStrategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0 if surge else 1},
        },
        **_replicas(resolved, cluster),
        "volumes": [*_volumes(resolved), *extras.volumes(deployment)],
        "model": _model(resolved, cluster),
        **extras.of_pod(deployment, identity.selector(resolved)),
        **{name: value for name, value in placed.items() if value},
    }


def _volumes(resolved: ResolvedDeployment) -> list[Object]:
    """Of the replica's own; shared memory where its size is written, as the serving runtime has its own."""
    own = [pods.cache_volume(resolved), {"name": "tmp", "emptyDir": {}}]
    size = resolved.deployment.resources.shared_memory
    shared = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}}
    return [*own, shared] if size is not None else own


def _model(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    model_format, runtime = _FORMATS[resolved.engine.server]
    access = weights_access(cluster.store, resolved.model.prefix)
    deployment = resolved.deployment
    added = extras.environment(deployment)
    env = pods.environment(resolved, pods.home_environment(), _sleep_environment(resolved), added)
    shared = deployment.resources.shared_memory is not None
    drain = [
        "python3",
        "-c",
        vllm_args.DRAIN_SCRIPT.replace("8000", str(POD_PORT)),
        str(pods.drain_s(resolved)),
    ]
    model: Object = {
        "modelFormat": {"name": model_format},
        "runtime": runtime,
        # By digest, so that KServe does not rewrite it to its name for CPUs.
        "image": pods.image(resolved),
        "storageUri": access.uri,
        "args": _arguments(resolved, cluster),
        "env": pods.env_list(env, pods.secret_environment(resolved)),
        "resources": bounded(resolved, cluster),
        "securityContext": pods.container_security(resolved),
        "volumeMounts": [*pods.mounts(shared), *extras.mounts(deployment)],
        **extras.probes(deployment, POD_PORT),
    }
    if resolved.deployment.rollout.strategy == "in-place" and resolved.engine.server == "vllm":
        model["lifecycle"] = {"preStop": {"exec": {"command": drain}}}
    return model


def _sleep_environment(resolved: ResolvedDeployment) -> dict[str, str]:
    return vllm_args.SLEEP_ENV if vllm_args.sleeps(resolved) else {}


def _arguments(resolved: ResolvedDeployment, cluster: ClusterSettings) -> list[str]:
    """After the serving runtime's own, and so over them: its name for the model is the object's."""
    if resolved.engine.server == "vllm":
        return [f"--served-model-name={resolved.name}", *vllm_args.server_args(resolved, cluster)]
    if resolved.task not in _HUGGING_FACE_TASKS:
        raise RenderError.at(
            resolved.name,
            f"model: its task is {resolved.task}, and the Hugging Face server's are "
            f"{', '.join(_HUGGING_FACE_TASKS)}. Use another engine.",
        )
    length = [] if resolved.context_length is None else [f"--max-model-len={resolved.context_length}"]
    task = f"--task={_HUGGING_FACE_TASKS[resolved.task]}"
    return [f"--model_name={resolved.name}", task, *length, *resolved.deployment.args]


def bounded(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    """Requests with limits: where the service gives none, the serving runtime's own small ones would apply.

    A request above them makes a Deployment that the API server refuses, long after the CRD accepted this.
    """
    lists = pods.resource_lists(resolved, cluster)
    requests, limits = lists.get("requests", {}), lists.get("limits", {})
    bounds = {"requests": {**limits, **requests}, "limits": {**requests, **limits}}
    return {**lists, **bounds} if lists else {}


def _replicas(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    auto = resolved.deployment.autoscaling
    if auto is None:
        fixed = resolved.deployment.replicas
        return {"minReplicas": fixed, "maxReplicas": fixed}
    metrics = scaling.resource_metrics(auto)
    if scaling.needs_keda(auto):
        metrics += _external_metrics(resolved, cluster)
    return {
        "minReplicas": 0 if auto.idle == "zero" else auto.min_replicas,
        "maxReplicas": auto.max_replicas,
        "autoScaling": {"metrics": metrics, "behavior": scaling.behavior(auto)},
    }


def _external_metrics(resolved: ResolvedDeployment, cluster: ClusterSettings) -> list[Object]:
    auto = resolved.deployment.autoscaling
    if auto is None or cluster.prometheus_url is None:
        raise RenderError.at(
            resolved.name,
            "autoscaling: KServe scales by requests through a Prometheus. Connect "
            "one, or use cpu_percent or memory_percent.",
        )
    wanted = scaling.triggers(resolved, auto, cluster, address(resolved, cluster))
    return [
        {
            "type": "External",
            "external": {
                "metric": {
                    "backend": "prometheus",
                    "serverAddress": cluster.prometheus_url,
                    "query": trigger["metadata"]["query"],
                },
                # KServe's webhook wants a value; it becomes KEDA's threshold, which is per replica.
                "target": {"type": "Value", "value": trigger["metadata"]["threshold"]},
            },
        }
        for trigger in wanted
        if trigger["type"] == "prometheus"
    ]

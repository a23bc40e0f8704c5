"""Ray Serve without Kubernetes: a resolved deployment -> one element of `applications` in a Serve config.

Belongs here: what the element looks like, and which fields of a deployment this runtime cannot honour.
Does not: sending it (slipway.dataplane.ray.ray_serve), the application itself (slipway.engines).
Schema: ServeApplicationSchema and DeploymentSchema of Ray 2.60, ray/serve/schema.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from slipway.catalog.deployment import Autoscaling, Deployment, Gpu
from slipway.catalog.documents import Engine
from slipway.catalog.fields import cpu_in_millicores, size_in_bytes
from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.servers import CTRANSLATE2, ESPEAK_NG, LLAMA_CPP, ONNX_RUNTIME, ServerName
from slipway.runtimes.rendering import refusing
from slipway.runtimes.rendering.identity import SPEC_DIGEST_ENV, object_name
from slipway.runtimes.rendering.own_app import app_args

# Engine server -> (import path of its application, name of the deployment within it).
APPLICATIONS: Mapping[ServerName, tuple[str, str]] = {
    LLAMA_CPP: ("slipway.engines.llamacpp:build", "llamacpp"),
    ONNX_RUNTIME: ("slipway.engines.onnx.app:build", "onnxruntime"),
    CTRANSLATE2: ("slipway.engines.whisper.app:build", "ctranslate2"),
    ESPEAK_NG: ("slipway.engines.espeak.app:build", "espeak-ng"),
}

NODE_CACHE_ENV = "SLIPWAY_NODE_CACHE_BYTES"

# The engine queues what exceeds its slots. A small bound would queue in Serve's proxy instead, where the
# probes that ask for the spec digest would wait behind tenants' requests.
MAX_ONGOING_REQUESTS = 100

DRAINED_SHUTDOWN_S = 5.0

HEALTH_CHECK_PERIOD_S = 5.0
HEALTH_CHECK_TIMEOUT_S = 30.0


def application_name(resolved: ResolvedDeployment) -> str:
    """Name of the Serve application: one per revision for blue-green, a stable one in place."""
    return object_name(resolved)


def route_prefix(resolved: ResolvedDeployment) -> str:
    """In place the deployment's own path; two revisions beside each other need one each."""
    deployment = resolved.deployment
    if deployment.rollout.strategy == "in-place" and deployment.path is not None:
        return deployment.path
    return f"/{application_name(resolved)}"


def render(resolved: ResolvedDeployment, node_cache_bytes: int | None = None) -> dict[str, Any]:
    """The Serve application of a deployment, as plain JSON; raises ValueError for an unknown engine.

    `node_cache_bytes` bounds the weights' cache on its nodes; without it the nodes' environment does.
    """
    server = resolved.engine.server
    if server not in APPLICATIONS:
        raise ValueError(
            f"engine {resolved.engine.name} is {server}, and the ray runtime hosts only "
            f"{', '.join(APPLICATIONS)}. Name another engine or another runtime."
        )
    import_path, deployment_name = APPLICATIONS[server]
    name = application_name(resolved)
    return {
        "name": name,
        "route_prefix": route_prefix(resolved),
        "import_path": import_path,
        "args": app_args(resolved),
        # A line per request would bury what the engine says when it fails; the gateway has the access log.
        "logging_config": {"enable_access_log": False},
        "deployments": [{"name": deployment_name, **_options(resolved, node_cache_bytes)}],
    }


def _options(resolved: ResolvedDeployment, node_cache_bytes: int | None) -> dict[str, Any]:
    deployment = resolved.deployment
    return {
        **replicas_or_autoscaling(deployment),
        "max_ongoing_requests": ongoing(deployment),
        "ray_actor_options": _actor(resolved, node_cache_bytes),
        "health_check_period_s": HEALTH_CHECK_PERIOD_S,
        "health_check_timeout_s": HEALTH_CHECK_TIMEOUT_S,
        "graceful_shutdown_wait_loop_s": 1.0,
        "graceful_shutdown_timeout_s": shutdown_s(deployment),
    }


def ongoing(deployment: Deployment) -> int:
    """Most requests that the proxy gives one replica at once."""
    return deployment.max_ongoing_requests or MAX_ONGOING_REQUESTS


def shutdown_s(deployment: Deployment) -> float:
    """In place, Serve drains the old replica; a blue-green one is drained before it is removed.

    Not longer than needed: Serve also waits that long for a replica that never found room to start.
    """
    return deployment.rollout.drain_s if deployment.rollout.strategy == "in-place" else DRAINED_SHUTDOWN_S


def replicas_or_autoscaling(deployment: Deployment) -> dict[str, Any]:
    """Either a number or autoscaling: Serve refuses a config that has both."""
    if deployment.autoscaling is not None:
        return {"autoscaling_config": _autoscaling(deployment.autoscaling)}
    surge = math.ceil(100 * min(deployment.rollout.surge / max(deployment.replicas, 1), 1))
    return {"num_replicas": deployment.replicas, **({"max_surge_percent": surge} if surge else {})}


def _autoscaling(autoscaling: Autoscaling) -> dict[str, Any]:
    to_zero = autoscaling.idle == "zero"
    least = 0 if to_zero else autoscaling.min_replicas
    config = {
        "min_replicas": least,
        "max_replicas": autoscaling.max_replicas,
        # Validation needs a replica; an idle one goes away by itself.
        "initial_replicas": max(least, 1),
        "target_ongoing_requests": autoscaling.target.ongoing_requests,
        "upscale_delay_s": autoscaling.upscale_delay_s,
        "downscale_delay_s": autoscaling.downscale_delay_s,
    }
    if to_zero:
        config["downscale_to_zero_delay_s"] = autoscaling.idle_after_s
    return config


def _actor(resolved: ResolvedDeployment, node_cache_bytes: int | None) -> dict[str, Any]:
    deployment = resolved.deployment
    requests = deployment.resources.requests
    bound = {} if node_cache_bytes is None else {NODE_CACHE_ENV: str(node_cache_bytes)}
    env = {**bound, **resolved.engine.env, **deployment.env, SPEC_DIGEST_ENV: resolved.spec_digest}
    options: dict[str, Any] = {
        "num_cpus": cpu_in_millicores(requests.cpu or "1") / 1000,
        "runtime_env": {"env_vars": env},
    }
    if requests.memory is not None:
        options["memory"] = size_in_bytes(requests.memory)
    if deployment.resources.gpu is not None:
        options["num_gpus"] = _gpus(deployment.resources.gpu)
    if deployment.node_selector:
        options["label_selector"] = dict(deployment.node_selector)
    return options


def _gpus(gpu: Gpu) -> float:
    return gpu.fraction if gpu.fraction is not None else float(gpu.count)


def refusals(deployment: Deployment, engine: Engine | None = None) -> list[tuple[str, str]]:
    """(field, reason) for everything in a deployment that this runtime cannot honour; empty when all is well.

    `engine` is the document that the deployment names, when it is known.
    """
    refused = [
        *_refused_scaling(deployment),
        *_refused_resources(deployment),
        *_refused_placement(deployment),
        *refusing.only(refusing.of_ours(deployment, engine.server if engine else LLAMA_CPP)),
        *refusing.of_engine(deployment, engine.server if engine else None),
    ]
    if engine is not None and engine.server not in APPLICATIONS:
        refused.append(
            ("engine", f"is {engine.server}, and ray hosts {', '.join(APPLICATIONS)}. Name another")
        )
    return refused


def _refused_scaling(deployment: Deployment) -> list[tuple[str, str]]:
    scaling = deployment.autoscaling
    if scaling is None:
        refused = {"replicas": (deployment.replicas < 1, "is 0. Use autoscaling with idle: zero")}
    else:
        target = scaling.target
        per_metric = "is not measured by Ray Serve. Use autoscaling.target.ongoing_requests"
        refused = {
            "autoscaling.target.ongoing_requests": (
                target.ongoing_requests is None,
                "is missing, and Ray Serve scales by it alone. Give it",
            ),
            "autoscaling.target.cpu_percent": (target.cpu_percent is not None, per_metric),
            "autoscaling.target.memory_percent": (target.memory_percent is not None, per_metric),
            "autoscaling.target.queue_depth": (target.queue_depth is not None, per_metric),
        }
    refused["rollout.surge"] = (
        deployment.rollout.surge > (0 if scaling else deployment.replicas),
        "is more than the replicas that Ray Serve may add. Lower it",
    )
    return refusing.only(refused)


def _refused_resources(deployment: Deployment) -> list[tuple[str, str]]:
    resources = deployment.resources
    unlimited = "is not enforced by Ray, which only schedules by resources.requests. Remove it"
    kubernetes = "exists on Kubernetes only. Remove it"
    refused = {
        "resources.limits.cpu": (resources.limits.cpu is not None, unlimited),
        "resources.limits.memory": (resources.limits.memory is not None, unlimited),
        "resources.profile": (resources.profile is not None, "is KubeAI's. Use resources.requests"),
        "resources.profile_accelerator": (
            resources.profile_accelerator is not None,
            "is of a KubeAI profile. Remove it",
        ),
        "resources.volume_size": (resources.volume_size is not None, kubernetes),
        "resources.volume_class": (resources.volume_class is not None, kubernetes),
    }
    gpu = resources.gpu
    if gpu is not None:
        refused |= {
            "resources.gpu.vendor": (
                gpu.vendor != "nvidia",
                "is not known to Ray, whose GPUs are those of its nodes. Remove it",
            ),
            "resources.gpu.class": (gpu.gpu_class is not None, "is not known to Ray. Use node_selector"),
            "resources.gpu.mig_profile": (gpu.mig_profile is not None, "is not known to Ray. Use fraction"),
            "resources.gpu.sharing": (gpu.sharing != "none", "is not known to Ray. Use fraction"),
        }
    return refusing.only(refused)


def _refused_placement(deployment: Deployment) -> list[tuple[str, str]]:
    kubernetes = "exists on Kubernetes only. Remove it"
    isolation = deployment.isolation
    return refusing.only(
        {
            "data_plane": (
                deployment.data_plane != "default",
                "is another than default, and this version connects one. Remove it",
            ),
            "secrets": (
                bool(deployment.secrets),
                "would be readable in Ray's dashboard. Set the variable in the Ray nodes' own environment",
            ),
            "load_balancing.strategy": (
                deployment.load_balancing.strategy != "least-load",
                "is prefix-hash, and Ray Serve's proxy balances by load. Use least-load",
            ),
            "tolerations": (bool(deployment.tolerations), kubernetes),
            **refusing.of_pods(deployment, "exists on Kubernetes only. Remove it", ("max_ongoing_requests",)),
            **refusing.of_parallelism(deployment, "is vLLM's, which ray does not host. Remove it"),
            "telemetry": (
                "telemetry" in deployment.model_fields_set,
                "has no effect here: Ray tells its own metrics for the whole node. Remove it",
            ),
            "isolation.network_policy": ("network_policy" in isolation.model_fields_set, kubernetes),
            "isolation.namespace": (isolation.namespace is not None, kubernetes),
            "isolation.runtime_class": (isolation.runtime_class is not None, kubernetes),
            "isolation.quota": (isolation.quota is not None, kubernetes),
            "alias": (deployment.alias, kubernetes),
            "path": (
                deployment.path is not None and deployment.rollout.strategy != "in-place",
                "is one, and blue-green revisions have a path each. Use rollout.strategy in-place",
            ),
        }
    )

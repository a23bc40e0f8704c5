"""Refusals that several runtimes share, and their common form.

Belongs here: (field, reason) pairs for what a pod on Kubernetes cannot honour.
Does not: what one runtime alone refuses (its module), printing them (slipway.control.check).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from slipway.catalog.deployment import Deployment
from slipway.catalog.servers import LLAMA_CPP, SERVERS, ServerName

Refused = dict[str, tuple[bool, str]]

FILES = "are KubeAI's alone. Put them in a ConfigMap, and mount it by volumes"
ONGOING = "is Ray Serve's. Use --max-num-seqs in args"

# What a whole pod template can say.
POD = ("placement.", "volumes", "ca.", "probes.", "resources.")

# All of `parallelism`.
DIVISIONS = ("tensor", "pipeline", "data", "expert")


def only(refused: Refused) -> list[tuple[str, str]]:
    """The fields whose condition holds, with their reasons."""
    return [(field, reason) for field, (is_refused, reason) in refused.items() if is_refused]


def of_a_pod(deployment: Deployment) -> Refused:
    """What no pod template can say."""
    resources, gpu = deployment.resources, deployment.resources.gpu
    return {
        "resources.profile": (resources.profile is not None, "is KubeAI's. Use resources.requests and gpu"),
        "resources.profile_accelerator": (
            resources.profile_accelerator is not None,
            "is of a KubeAI profile. Use resources.gpu",
        ),
        "resources.volume_class": (
            resources.volume_class is not None and resources.volume_size is None,
            "is the class of a volume without a size. Give resources.volume_size",
        ),
        **_of_a_gpu(deployment),
        "secrets": (
            any(each.secret is None for each in deployment.secrets),
            "names a variable of this machine, which pods do not see. Name a Kubernetes secret and its key",
        ),
        "load_balancing.strategy": (
            deployment.load_balancing.strategy == "prefix-hash",
            "is prefix-hash, and a Service balances by connection. Use least-load",
        ),
        "rollout.surge": (
            deployment.rollout.surge > 0 and deployment.rollout.strategy == "blue-green",
            "is for in-place changes, and a blue-green one has room for all. Set it to 0",
        ),
        "resources.gpu.fraction": (
            gpu is not None and gpu.fraction is not None,
            "is Ray's. Use mig_profile, or sharing with count: 1",
        ),
    }


def of_pods(deployment: Deployment, why: str | Mapping[str, str], takes: Collection[str] = ()) -> Refused:
    """What a deployment adds to its pods beyond what the runtime `takes`; `why` is a reason, or one each."""
    given = _added_to_pods(deployment)

    def reason(field: str) -> str:
        if isinstance(why, str):
            return why
        told = (each for name, each in why.items() if field.startswith(name))
        return next(told, "has no field there. Remove it")

    return {
        field: (is_given and not field.startswith(tuple(takes)), reason(field))
        for field, is_given in given.items()
    }


def _added_to_pods(deployment: Deployment) -> dict[str, bool]:
    placement, resources, probes = deployment.placement, deployment.resources, deployment.probes
    return {
        "placement.node_affinity": bool(placement.node_affinity),
        "placement.spread": bool(placement.spread),
        "placement.priority_class": placement.priority_class is not None,
        "volumes": bool(deployment.volumes),
        "files": bool(deployment.files),
        "ca.config_map": deployment.ca is not None,
        "ca.key": deployment.ca is not None and "key" in deployment.ca.model_fields_set,
        "probes.startup": probes.startup is not None,
        "probes.readiness": probes.readiness is not None,
        "probes.liveness": probes.liveness is not None,
        "resources.extended": bool(resources.extended),
        "resources.device_claims": bool(resources.device_claims),
        "resources.shared_memory": resources.shared_memory is not None,
        "max_ongoing_requests": deployment.max_ongoing_requests is not None,
    }


def of_parallelism(
    deployment: Deployment, why: str, takes: Collection[str] = (), engine: ServerName | None = None
) -> Refused:
    """The divisions of cards that are not among `takes`; an engine that does not divide takes none."""
    asked = deployment.parallelism
    if engine is not None and not SERVERS[engine].fills_memory_as_vllm:
        why, takes = f"is vLLM's, and the engine is {engine}. Remove it", ()
    given = {
        "tensor": asked.tensor is not None,
        "pipeline": asked.pipeline is not None,
        "data": asked.data is not None,
        "expert": asked.expert,
    }
    return {f"parallelism.{name}": (is_given and name not in takes, why) for name, is_given in given.items()}


def of_ours(deployment: Deployment, server: ServerName | None) -> Refused:
    """Fields that a replica of Slipway's own server cannot honour; nothing of another server, or of none."""
    if server is None or not SERVERS[server].is_ours:
        return {}
    scaling = deployment.autoscaling
    return {
        "nodes_per_replica": (
            deployment.nodes_per_replica > 1,
            f"is more than 1, and {server}'s replica is one process. Set it to 1",
        ),
        "autoscaling.idle": (
            scaling is not None and scaling.idle == "sleep",
            "is sleep, which only vLLM has. Use keep or zero",
        ),
    }


def of_engine(deployment: Deployment, server: ServerName | None) -> list[tuple[str, str]]:
    """What one of Slipway's own servers does on no runtime; said of the engine, which may be another."""
    if server is None or not SERVERS[server].is_ours or server == LLAMA_CPP:
        return []
    gpu, cards = deployment.resources.gpu, SERVERS[server].gpus
    refused = []
    if gpu is not None and gpu.vendor not in cards:
        computes = f"computes on cards of {' and '.join(sorted(cards))}" if cards else "computes on no card"
        refused.append(("engine", f"is {server}, which {computes}. Remove resources.gpu, or name another"))
    if deployment.adapters:
        refused.append(("engine", f"is {server}, which takes no adapters. Remove adapters, or name another"))
    return refused


def _of_a_gpu(deployment: Deployment) -> Refused:
    gpu = deployment.resources.gpu
    if gpu is None:
        return {}
    nvidia_only = f"is NVIDIA's, and the vendor is {gpu.vendor}. Remove it"
    shared = gpu.sharing != "none"
    return {
        "resources.gpu.mig_profile": (gpu.mig_profile is not None and gpu.vendor != "nvidia", nvidia_only),
        "resources.gpu.sharing": (
            shared and (gpu.vendor != "nvidia" or gpu.mig_profile is not None),
            nvidia_only if gpu.vendor != "nvidia" else "shares cards, and mig_profile slices them. Use one",
        ),
        "resources.gpu.count": (
            shared and gpu.count > 1,
            "is more than 1, and several shares of cards are no more time of them. Set it to 1",
        ),
    }

"""What KubeAI cannot honour of a deployment, with the reason.

Belongs here: (field, reason) pairs. Does not: the Model (render.py).
"""

from __future__ import annotations

from slipway.catalog import profiles
from slipway.catalog.deployment import Autoscaling, Deployment, Resources
from slipway.catalog.documents import Engine
from slipway.catalog.fields import Accelerator
from slipway.catalog.servers import VLLM
from slipway.runtimes.kubeai import render
from slipway.runtimes.rendering import refusing


def refusals(deployment: Deployment, engine: Engine | None = None) -> list[tuple[str, str]]:
    """(field, reason) for everything in a deployment that KubeAI cannot honour."""
    server = engine.server if engine is not None else VLLM
    refused = {
        **refusing.of_a_pod(deployment),
        **_refused_resources(deployment),
        **_refused_placement(deployment),
        **_refused_additions(deployment),
        **refusing.of_parallelism(deployment, "", refusing.DIVISIONS, server),
        "load_balancing.strategy": (False, ""),
        "adapters": (
            bool(deployment.adapters) and server != VLLM,
            f"are read by KubeAI's vLLM alone, and the engine is {server}. Remove them",
        ),
        "engine": (
            server not in render.ENGINES,
            f"is {server}, and KubeAI reads the local store for {', '.join(render.ENGINES)} alone. "
            "Name another",
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
    told, multiple = _told(resources), profiles.multiple(resources.profile or "")
    no_volume = "exists nowhere in a KubeAI Model. Remove it"
    return {
        "resources.profile": (
            has_profile and _told(resources) is None,
            "has a name that does not tell what it runs on, which picks the image. Say it in "
            "resources.profile_accelerator",
        ),
        "resources.profile_accelerator": (
            resources.profile_accelerator is not None
            and (not has_profile or resources.profile_accelerator not in (told, None)),
            f"is not {told}, which the profile's name or resources.gpu tells. Remove it"
            if has_profile
            else "is of a profile, and there is none. Name resources.profile, or remove it",
        ),
        "resources.gpu.count": (
            has_profile and resources.gpu is not None and resources.cards != multiple,
            f"is not the profile's {multiple}. Write the count behind the profile, or make both agree",
        ),
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


def _refused_additions(deployment: Deployment) -> refusing.Refused:
    """A Model has no pod template; a profile has resources and rules about nodes."""
    twice = "is part of a KubeAI profile, and resources.profile names one. Remove either"
    own = ("resources.extended", "placement.node_affinity")
    return refusing.of_pods(
        deployment,
        {
            **dict.fromkeys(own, twice),
            "max_ongoing_requests": refusing.ONGOING,
            "volumes": "are no field of a KubeAI Model. Use files",
            "ca": "is no field of a KubeAI Model. Use files, and SSL_CERT_FILE in env",
            "probes": "are KubeAI's own. Remove them",
            "placement.spread": "is no field of a KubeAI profile. Use placement.node_affinity",
            "resources.": "is no field of a KubeAI profile. Remove it",
        },
        ("files", "placement.priority_class", *(() if deployment.resources.profile is not None else own)),
    )


def _told(resources: Resources) -> Accelerator | None:
    """What the GPU or the profile's own name says that it runs on; else what is written of it."""
    if resources.gpu is not None:
        return resources.gpu.vendor
    return profiles.accelerator(resources.profile or "") or resources.profile_accelerator


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

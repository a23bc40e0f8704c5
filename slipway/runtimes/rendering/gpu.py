"""GPUs of a replica in Kubernetes' words: resource name, node labels, taints, and cards that are shared.

Belongs here: one place for vendors' names. Does not: Ray's numbers of GPUs (slipway.runtimes.ray).
Names: the device plugins of NVIDIA (k8s-device-plugin, gpu-feature-discovery), AMD and Intel.
"""

from __future__ import annotations

from slipway.catalog.deployment import Deployment, Gpu
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError

_BASE = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}

# Set by gpu-feature-discovery on nodes whose cards are shared.
SHARING_LABEL = "nvidia.com/gpu.sharing-strategy"
# Read by the device plugin: which entry of its configuration a node follows.
PLUGIN_CONFIG_LABEL = "nvidia.com/device-plugin.config"


def resource_name(gpu: Gpu, cluster: ClusterSettings) -> str:
    """Extended resource of one unit: a card, a MIG slice, or a share of a card.

    Shared cards have a name of their own (`renameByDefault` in slipway.runtimes.cluster.gpu_sharing), so that
    who asks for a whole card never gets a shared one.
    """
    if gpu.vendor == "intel":
        return cluster.intel_resource
    if gpu.mig_profile is not None:
        return f"nvidia.com/mig-{gpu.mig_profile}"
    shared = ".shared" if gpu.sharing != "none" else ""
    return _BASE[gpu.vendor] + shared


def amounts(deployment: Deployment, cluster: ClusterSettings) -> dict[str, str]:
    """Extended resources of one pod, for requests and limits alike; empty without a GPU."""
    gpu = deployment.resources.gpu
    return {} if gpu is None else {resource_name(gpu, cluster): str(gpu.count)}


def node_selector(deployment: Deployment, cluster: ClusterSettings) -> dict[str, str]:
    """The deployment's own labels, the GPU's class and the way in which cards are shared."""
    gpu = deployment.resources.gpu
    chosen: dict[str, str] = {}
    if gpu is not None and gpu.gpu_class is not None:
        chosen[cluster.gpu_class_label] = gpu.gpu_class
    if gpu is not None and gpu.sharing != "none":
        chosen[SHARING_LABEL] = gpu.sharing
    return {**chosen, **deployment.node_selector}


def tolerations(deployment: Deployment, cluster: ClusterSettings) -> list[dict[str, str]]:
    """The taints that device plugins' guides put on GPU nodes, and the deployment's own."""
    gpu = deployment.resources.gpu
    rendered = []
    if gpu is not None:
        key = cluster.intel_resource if gpu.vendor == "intel" else _BASE[gpu.vendor]
        rendered.append({"key": key, "operator": "Exists", "effect": "NoSchedule"})
    for toleration in deployment.tolerations:
        wanted = (
            {"operator": "Exists"}
            if toleration.value is None
            else {"operator": "Equal", "value": toleration.value}
        )
        effect = {} if toleration.effect is None else {"effect": toleration.effect}
        rendered.append({"key": toleration.key, **wanted, **effect})
    return rendered


def runtime_class(deployment: Deployment, cluster: ClusterSettings) -> str | None:
    """The RuntimeClass asked for; raises RenderError when the cluster is known not to have it."""
    asked, known = deployment.isolation.runtime_class, cluster.runtime_classes
    if asked is not None and known is not None and asked not in known:
        raise RenderError.at(
            deployment.name,
            f"isolation.runtime_class = {asked}: the cluster has "
            f"{', '.join(sorted(known)) or 'none'}. Install it, or name another.",
        )
    return asked

"""Cards that several pods share: the GPU operator's ClusterPolicy and its device plugin's configuration.

Belongs here: both objects, on demand: the policy is one for the whole cluster, and is somebody's already.
Does not: what pods then ask for (slipway.runtimes.rendering.gpu).
Format: the sharing section of NVIDIA k8s-device-plugin's configuration (v1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import yaml

from slipway.catalog.deployment import Deployment
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object

CONFIG = "slipway-gpu-sharing"

# Sharing in the catalog -> section of the plugin's configuration.
_SECTIONS = {"time-slicing": "timeSlicing", "mps": "mps"}


def objects(
    deployments: Iterable[Deployment], cluster: ClusterSettings, namespace: str = "gpu-operator"
) -> list[Object]:
    """ConfigMap and ClusterPolicy for what these deployments share; nothing when they share nothing.

    Nodes choose by the label gpu.PLUGIN_CONFIG_LABEL: `time-slicing`, `mps`, or none for whole cards.
    """
    gpus = [each.resources.gpu for each in deployments if each.resources.gpu is not None]
    shared = sorted({gpu.sharing for gpu in gpus if gpu.sharing != "none"})
    sliced = any(gpu.mig_profile is not None for gpu in gpus)
    if not shared and not sliced:
        return []
    policy = _cluster_policy(sliced)
    if not shared:
        return [policy]
    policy["spec"]["devicePlugin"]["config"] = {"name": CONFIG, "default": "whole"}
    return [_config_map(shared, cluster, namespace), policy]


def _config_map(shared: Sequence[str], cluster: ClusterSettings, namespace: str) -> Object:
    entries = {"whole": yaml.safe_dump({"version": "v1"})}
    for way in shared:
        section = {
            # Shares have a name of their own, and more than one share is no more than one.
            "renameByDefault": True,
            "failRequestsGreaterThanOne": True,
            "resources": [{"name": "nvidia.com/gpu", "replicas": cluster.gpu_shares}],
        }
        entries[way] = yaml.safe_dump({"version": "v1", "sharing": {_SECTIONS[way]: section}})
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": CONFIG,
            "namespace": namespace,
            "labels": {identity.MANAGED_BY: identity.SLIPWAY},
        },
        "data": entries,
    }


def _cluster_policy(sliced: bool) -> Object:
    enabled = {"enabled": True}
    return {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy", "labels": {identity.MANAGED_BY: identity.SLIPWAY}},
        "spec": {
            "operator": {"defaultRuntime": "containerd"},
            "daemonsets": {},
            "dcgm": enabled,
            "dcgmExporter": enabled,
            "devicePlugin": {**enabled},
            "driver": enabled,
            "gfd": enabled,
            "migManager": enabled,
            # `mixed` names slices by their profile, as deployments ask for them.
            "mig": {"strategy": "mixed" if sliced else "single"},
            "nodeStatusExporter": enabled,
            "toolkit": enabled,
        },
    }

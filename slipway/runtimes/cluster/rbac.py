"""The rights that Slipway itself needs on a cluster: to write what it renders, to read what it waits for.

Belongs here: Roles per namespace and the one ClusterRole. Does not: who they are bound to (deploy/).
The tests compare these with every kind that is rendered.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.rendered import Object

# API group -> resources that renderers make in deployments' namespaces.
_WRITTEN: dict[str, tuple[str, ...]] = {
    "": ("services", "serviceaccounts", "limitranges", "resourcequotas"),
    "apps": ("deployments",),
    "autoscaling": ("horizontalpodautoscalers",),
    "policy": ("poddisruptionbudgets",),
    "networking.k8s.io": ("networkpolicies",),
    "gateway.networking.k8s.io": ("httproutes", "gateways"),
    "leaderworkerset.x-k8s.io": ("leaderworkersets",),
    "keda.sh": ("scaledobjects",),
    "monitoring.coreos.com": ("podmonitors",),
    "kubeai.org": ("models",),
    "serving.kserve.io": ("inferenceservices", "llminferenceservices"),
    "ray.io": ("rayservices",),
    "apps.nvidia.com": ("nimservices", "nimcaches"),
    "nvidia.com": ("dynamographdeployments", "dynamomodels"),
    "cert-manager.io": ("certificates",),
    "metallb.io": ("ipaddresspools", "l2advertisements"),
}
# Made by controllers: looked at, never written.
_READ: dict[str, tuple[str, ...]] = {
    "": ("pods", "pods/log", "events"),
    "apps": ("replicasets", "statefulsets"),
    "events.k8s.io": ("events",),
    "discovery.k8s.io": ("endpointslices",),
    "ray.io": ("rayclusters",),
}
# Waking from zero, and keeping an old revision at zero.
_SCALED: dict[str, tuple[str, ...]] = {
    "apps": ("deployments/scale",),
    "leaderworkerset.x-k8s.io": ("leaderworkersets/scale",),
    "kubeai.org": ("models/scale",),
}
_READING = ("get", "list", "watch")
_WRITING = (*_READING, "create", "patch", "delete")


def role(namespace: str, store_secret: str) -> Object:
    """Slipway's Role in one namespace. Of Secrets it may read and write the store's alone, by name."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {
            "name": identity.SLIPWAY,
            "namespace": namespace,
            "labels": {identity.MANAGED_BY: identity.SLIPWAY},
        },
        "rules": [
            *_rules(_WRITTEN, _WRITING),
            *_rules(_READ, _READING),
            *_rules(_SCALED, ("get", "patch")),
            # Ray's dashboard, asked through the API server.
            {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]},
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": [store_secret],
                "verbs": ["get", "patch"],
            },
            # Creating cannot be narrowed to a name.
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        ],
    }


def cluster_role() -> Object:
    """What has no namespace: making namespaces, and telling why a pod finds no node."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": identity.SLIPWAY, "labels": {identity.MANAGED_BY: identity.SLIPWAY}},
        "rules": [
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": [*_READING, "create", "patch"]},
            {"apiGroups": [""], "resources": ["nodes"], "verbs": list(_READING)},
            {
                "apiGroups": ["apiextensions.k8s.io"],
                "resources": ["customresourcedefinitions"],
                "verbs": list(_READING),
            },
            {"apiGroups": ["node.k8s.io"], "resources": ["runtimeclasses"], "verbs": list(_READING)},
        ],
    }


def shared_cards(namespace: str) -> list[Object]:
    """On demand, for `gpu_operator_namespace`: the GPU operator's policy, and its plugin's configuration."""
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {
                "name": f"{identity.SLIPWAY}-shared-cards",
                **where,
                "labels": {identity.MANAGED_BY: identity.SLIPWAY},
            },
            "rules": _rules(resources, (*_READING, "create", "patch")),
        }
        for kind, where, resources in (
            ("Role", {"namespace": namespace}, {"": ("configmaps",)}),
            ("ClusterRole", {}, {"nvidia.com": ("clusterpolicies",)}),
        )
    ]


def _rules(resources: Mapping[str, tuple[str, ...]], verbs: tuple[str, ...]) -> list[Object]:
    return [
        {"apiGroups": [group], "resources": list(names), "verbs": list(verbs)}
        for group, names in resources.items()
    ]

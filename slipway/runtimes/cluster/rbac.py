"""The rights that Slipway itself needs on a cluster: to write what it renders, to read what it waits for.

Belongs here: Roles per namespace and the one ClusterRole. Does not: which kinds a
runtime makes of its own (its adapter), who the rights are bound to (rights.py).
The tests compare these with every kind that is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.runtimes import registry
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.rendered import Object

Resources = dict[str, list[str]]

# API group -> resources that Slipway makes for deployments of every runtime, and for endpoints.
_WRITTEN: Mapping[str, tuple[str, ...]] = {
    "": ("services", "serviceaccounts", "limitranges", "resourcequotas"),
    "apps": ("deployments", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "policy": ("poddisruptionbudgets",),
    "networking.k8s.io": ("networkpolicies",),
    "gateway.networking.k8s.io": ("httproutes", "gateways"),
    "keda.sh": ("scaledobjects",),
    "monitoring.coreos.com": ("podmonitors",),
    "cert-manager.io": ("certificates",),
    "metallb.io": ("ipaddresspools", "l2advertisements"),
}
# Made by controllers: looked at, never written.
_READ: Mapping[str, tuple[str, ...]] = {
    "": ("pods", "pods/log", "events"),
    "apps": ("replicasets",),
    "events.k8s.io": ("events",),
    "discovery.k8s.io": ("endpointslices",),
}
_READING = ("get", "list", "watch")
_WRITING = (*_READING, "create", "patch", "delete")


def written() -> Resources:
    """What is made, of runtimes' own kinds, too."""
    workloads, others = registry.workloads().values(), registry.kinds()
    own = [(each.api_version, each.resource) for each in workloads]
    return _with(_WRITTEN, own + [(each.api_version, each.resource) for each in others])


def read() -> Resources:
    """What is only looked at."""
    own = (resource for runtime in registry.on_kubernetes() for resource in runtime.reads)
    return _with(_READ, own)


def scaled() -> Resources:
    """Subresources by which revisions are woken from zero."""
    kinds = registry.workloads().values()
    return _with({}, ((each.api_version, f"{each.resource}/scale") for each in kinds if each.is_scaled))


def _with(common: Mapping[str, tuple[str, ...]], own: Iterable[tuple[str, str]]) -> Resources:
    resources = {group: list(names) for group, names in common.items()}
    for api_version, name in own:
        names = resources.setdefault(api_version.partition("/")[0], [])
        if name not in names:
            names.append(name)
    return resources


def _own_word() -> list[Object]:
    """A pod's port, asked through the API server, where some runtime is asked for its own word."""
    if not any(kind.own_word for kind in registry.workloads().values()):
        return []
    return [{"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]}]


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
            *_rules(written(), _WRITING),
            *_rules(read(), _READING),
            *_rules(scaled(), ("get", "patch")),
            *_own_word(),
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


def node_leases() -> Object:
    """When each node was last heard of, which is known before its conditions turn."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {
            "name": f"{identity.SLIPWAY}-node-leases",
            "namespace": "kube-node-lease",
            "labels": {identity.MANAGED_BY: identity.SLIPWAY},
        },
        "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list"]}],
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


def _rules(resources: Mapping[str, Iterable[str]], verbs: tuple[str, ...]) -> list[Object]:
    return [
        {"apiGroups": [group], "resources": list(names), "verbs": list(verbs)}
        for group, names in resources.items()
    ]

"""Namespaces of isolation classes: Pod Security, nothing reachable by default, quota and default requests.

Belongs here: what surrounds all deployments of a namespace.
Does not: their own flows (slipway.runtimes.rendering.flows).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slipway.catalog.deployment import Deployment
from slipway.catalog.fields import cpu_in_millicores, size_in_bytes
from slipway.runtimes import registry
from slipway.runtimes.rendering import flows, identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object, plain

NAME = "slipway"

# For pods that say nothing, such as operators' sidecars: a quota refuses those.
_DEFAULT_REQUEST = {"cpu": "100m", "memory": "256Mi"}
_DEFAULT_LIMIT = {"memory": "1Gi"}


def objects(
    deployments: Iterable[Deployment], cluster: ClusterSettings, also: Iterable[str] = ()
) -> list[Object]:
    """The namespaces of these deployments and what each holds for all of them, by name.

    `also` are namespaces without deployments, such as the gateway's.
    """
    members: dict[str, list[Deployment]] = {name: [] for name in also}
    for deployment in deployments:
        runtime = registry.adapter(deployment.runtime).kubernetes
        # A namespace that is a runtime's own is made by whoever installs it.
        if runtime is not None and runtime.namespace is None:
            members.setdefault(deployment.isolation.namespace or cluster.namespace, []).append(deployment)
    return [made for name in sorted(members) for made in _of(name, members[name], cluster.namespace)]


def _of(name: str, members: Sequence[Deployment], home: str) -> list[Object]:
    around = [_deny_by_default(name), _limit_range(name), *_quota(name, members)]
    return [_namespace(name, members, home), *around]


def _namespace(name: str, members: Sequence[Deployment], home: str) -> Object:
    from kubernetes import client

    runtimes = (registry.adapter(deployment.runtime).kubernetes for deployment in members)
    level = (
        "baseline"
        if any(runtime and runtime.pod_security == "baseline" for runtime in runtimes)
        else "restricted"
    )
    security = {
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/warn": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
    }
    metadata = {
        "name": name,
        "labels": {identity.MANAGED_BY: identity.SLIPWAY, identity.HOME: home, **security},
    }
    made: Object = plain(client.V1Namespace(api_version="v1", kind="Namespace", metadata=metadata))
    return made


def _deny_by_default(name: str) -> Object:
    """Every pod of the namespace; deployments then open what they need, each for itself."""
    return flows.policy(_metadata(name, f"{NAME}-deny"), {}, ingress=[], egress=[])


def _limit_range(name: str) -> Object:
    from kubernetes import client

    limit = {"type": "Container", "defaultRequest": _DEFAULT_REQUEST, "default": _DEFAULT_LIMIT}
    made: Object = plain(
        client.V1LimitRange(
            api_version="v1", kind="LimitRange", metadata=_metadata(name), spec={"limits": [limit]}
        )
    )
    return made


def _quota(name: str, members: Sequence[Deployment]) -> list[Object]:
    """One quota per namespace: the largest of each resource that its deployments state."""
    from kubernetes import client

    quotas = [deployment.isolation.quota for deployment in members if deployment.isolation.quota is not None]
    cpu = [each.cpu for each in quotas if each.cpu is not None]
    memory = [each.memory for each in quotas if each.memory is not None]
    hard: dict[str, str] = {}
    if cpu:
        hard["requests.cpu"] = max(cpu, key=cpu_in_millicores)
    if memory:
        hard["requests.memory"] = max(memory, key=size_in_bytes)
    if not hard:
        return []
    quota = client.V1ResourceQuota(
        api_version="v1", kind="ResourceQuota", metadata=_metadata(name), spec={"hard": hard}
    )
    made: Object = plain(quota)
    return [made]


def _metadata(namespace: str, name: str = NAME) -> Object:
    return {"name": name, "namespace": namespace, "labels": {identity.MANAGED_BY: identity.SLIPWAY}}

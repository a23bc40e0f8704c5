"""All rights that Slipway needs for one catalog on one data plane: Roles where it writes, and who has them.

Belongs here: which namespaces a catalog touches, bindings. Does not: the rules themselves (rbac.py).
"""

from __future__ import annotations

from slipway.catalog import Catalog, data_planes
from slipway.runtimes import registry
from slipway.runtimes.cluster import rbac
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, ObjectName
from slipway.runtimes.rendering.rendered import Object

_RBAC = "rbac.authorization.k8s.io"


def namespaces(catalog: Catalog, data_plane: str, cluster: ClusterSettings) -> tuple[str, ...]:
    """Where Slipway writes objects, in order."""
    names = {cluster.namespace}
    for deployment in data_planes.deployments(catalog, data_plane):
        runtime = registry.adapter(deployment.runtime).kubernetes
        of_runtime = runtime.namespace(cluster) if runtime is not None and runtime.namespace else None
        names.add(of_runtime or deployment.isolation.namespace or cluster.namespace)
    for endpoint in data_planes.endpoints(catalog, data_plane):
        names.add(cluster.gateway.namespace)
        if endpoint.address_pool is not None:
            names.add(cluster.metallb_namespace)
    return tuple(sorted(names))


def objects(
    catalog: Catalog, data_plane: str, cluster: ClusterSettings, account: ObjectName | None
) -> list[Object]:
    """Roles and the ClusterRole; with `account`, a ServiceAccount, their bindings to it, too."""
    roles = [rbac.role(name, cluster.store.secret) for name in namespaces(catalog, data_plane, cluster)]
    roles += [rbac.cluster_role(), rbac.node_leases()]
    if cluster.gpu_operator_namespace is not None:
        roles += rbac.shared_cards(cluster.gpu_operator_namespace)
    return roles if account is None else [*roles, *(_binding(role, account) for role in roles)]


def _binding(role: Object, account: ObjectName) -> Object:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{role['kind']}Binding",
        "metadata": {**role["metadata"], "labels": {identity.MANAGED_BY: identity.SLIPWAY}},
        "roleRef": {"apiGroup": _RBAC, "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", "namespace": account.namespace, "name": account.name}],
    }

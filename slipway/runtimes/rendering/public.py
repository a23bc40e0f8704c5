"""Stable names inside the cluster: they always lead to the revision that has traffic.

Belongs here: the Service by the deployment's name, and KServe-style aliases.
Does not: public host names (slipway.runtimes.cluster.edge), the tenants' way, which is the gateway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Address, Object, plain


def objects(
    resolved: ResolvedDeployment,
    cluster: ClusterSettings,
    address: Address,
    pod_labels: Mapping[str, str] | None = None,
) -> Iterator[Object]:
    """What to apply when traffic moves to this revision.

    With `pod_labels` the stable Service selects pods; without them (an operator owns the pods' labels) it is
    another name for the revision's own Service.
    """
    if address.service != resolved.name:
        yield _stable(resolved, cluster, address, pod_labels)
    if resolved.deployment.alias:
        yield _external_name(resolved, cluster, f"{resolved.name}-predictor", address)
        if address.path:
            yield _alias_route(resolved, cluster, address)


def _stable(
    resolved: ResolvedDeployment,
    cluster: ClusterSettings,
    address: Address,
    pod_labels: Mapping[str, str] | None,
) -> Object:
    from kubernetes import client

    if pod_labels is None:
        return _external_name(resolved, cluster, resolved.name, address)
    ports = [{"name": "http", "port": address.port, "targetPort": "http", "protocol": "TCP"}]
    spec = client.V1ServiceSpec(selector=dict(pod_labels), ports=ports)
    metadata = identity.metadata(resolved, cluster, resolved.name)
    made: Object = plain(client.V1Service(api_version="v1", kind="Service", metadata=metadata, spec=spec))
    return made


def _external_name(
    resolved: ResolvedDeployment, cluster: ClusterSettings, name: str, address: Address
) -> Object:
    """A name for a name: it changes neither port nor path, so callers use those of the target."""
    from kubernetes import client

    spec = client.V1ServiceSpec(
        type="ExternalName",
        external_name=f"{address.service}.{address.namespace}.svc.cluster.local",
        ports=[{"name": "http", "port": address.port, "protocol": "TCP"}],
    )
    metadata = identity.metadata(resolved, cluster, name)
    made: Object = plain(client.V1Service(api_version="v1", kind="Service", metadata=metadata, spec=spec))
    return made


def _alias_route(resolved: ResolvedDeployment, cluster: ClusterSettings, address: Address) -> Object:
    """The path that an ExternalName cannot add.

    On a Gateway that only the cluster reaches: no key is asked for here.
    """
    gateway = cluster.internal_gateway
    if gateway is None:
        raise RenderError.at(
            resolved.name,
            "alias: several applications share this Service, each below a "
            "path, and only an HTTPRoute adds one. Name a Gateway inside the cluster, or remove alias.",
        )
    host = f"{resolved.name}-predictor.{address.namespace}"
    rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": address.path}}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": identity.metadata(resolved, cluster, f"{resolved.name}-predictor"),
        "spec": {
            "parentRefs": [{"name": gateway.name, "namespace": gateway.namespace}],
            "hostnames": [host, f"{host}.svc.cluster.local"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "filters": [{"type": "URLRewrite", "urlRewrite": rewrite}],
                    "backendRefs": [{"name": address.service, "port": address.port}],
                }
            ],
        },
    }

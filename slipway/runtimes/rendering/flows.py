"""NetworkPolicies: nothing reaches a pod or leaves it but what serving needs.

Belongs here: the flows of an engine and their spelling as policies. Enforcing them is the CNI's.
Does not: namespaces, quotas, the gateway's own flows (slipway.runtimes.cluster).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, Pods
from slipway.runtimes.rendering.rendered import Object, plain

NAMESPACE_NAME = "kubernetes.io/metadata.name"  # every namespace carries its name under it

_DNS: Object = {
    "to": [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: "kube-system"}}}],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


def engine_policy(
    resolved: ResolvedDeployment,
    cluster: ClusterSettings,
    pod_labels: Mapping[str, str],
    ports: tuple[int, ...],
    also_from: tuple[Pods, ...] = (),
) -> Object:
    """Of a revision's pods: requests from the gateway, metrics, each other, DNS and the store.

    `also_from` are pods that the runtime itself sends requests through, such as an operator's proxy.
    """
    if not resolved.deployment.isolation.network_policy:
        # The namespace denies everything by default: what is not to be isolated says so.
        return policy(identity.metadata(resolved, cluster), pod_labels, ingress=[{}], egress=[{}])
    senders = [cluster.gateway, *also_from]
    senders += [each for each in (cluster.prometheus, cluster.keda) if each is not None]
    themselves = {"podSelector": {"matchLabels": dict(pod_labels)}}
    ingress: list[Object] = [{"from": [peer(sender) for sender in senders], "ports": tcp(*ports)}]
    egress = [_DNS, store_flow(cluster)]
    return policy(
        identity.metadata(resolved, cluster),
        pod_labels,
        ingress=[*ingress, {"from": [themselves]}],
        egress=[*egress, {"to": [themselves]}],
    )


def policy(
    metadata: Mapping[str, object], pod_labels: Mapping[str, str], ingress: list[Object], egress: list[Object]
) -> Object:
    """A NetworkPolicy over the pods with these labels; an empty list of rules denies that direction."""
    from kubernetes import client

    spec = client.V1NetworkPolicySpec(
        pod_selector={"matchLabels": dict(pod_labels)} if pod_labels else {},
        policy_types=["Ingress", "Egress"],
        ingress=ingress,
        egress=egress,
    )
    made: Object = plain(
        client.V1NetworkPolicy(
            api_version="networking.k8s.io/v1", kind="NetworkPolicy", metadata=metadata, spec=spec
        )
    )
    return made


def peer(pods: Pods) -> Object:
    """Pods with labels in one namespace."""
    return {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: pods.namespace}},
        "podSelector": {"matchLabels": dict(pods.labels)},
    }


def tcp(*ports: int) -> list[Object]:
    """TCP ports of pods (not of Services: policies see packets after the Service's translation)."""
    return [{"protocol": "TCP", "port": port} for port in ports]


def dns_flow() -> Object:
    """To the cluster's name servers."""
    return _DNS


def control_plane(cluster: ClusterSettings) -> list[Object]:
    """What drives a runtime over HTTP, as peers."""
    return [peer(each) for each in cluster.operators]


def api_flow() -> Object:
    """To the API server, whose addresses are known to the cluster alone: by its ports."""
    return {"ports": tcp(443, 6443)}


def store_flow(cluster: ClusterSettings) -> Object:
    """To the store: by namespace when it is a Service, by address when it is one, else by port alone."""
    return url_flow(cluster.store.endpoint_url)


def url_flow(url: str) -> Object:
    """To the host of a URL. A name outside the cluster has no selector, so only its port is held to."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    labels = host.split(".")
    if len(labels) >= 3 and labels[2] == "svc":
        # The Service's port is not the pods', which cannot be known here.
        return {"to": [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: labels[1]}}}]}
    return {**_address(host), "ports": tcp(port)}


def _address(host: str) -> dict[str, Any]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return {}
    return {"to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}]}

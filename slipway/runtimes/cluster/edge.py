"""The public side of an Endpoint: address pool, Gateway, certificate, and routes to the tenant gateway.

Belongs here: objects of Gateway API, cert-manager and MetalLB. Does not: the tenant gateway (gateway.py).
Only `/v1` leads inside, plain or below a deployment's public path: the gateway's own `/-/` does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Endpoint
from slipway.runtimes.cluster import gateway
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object

_MOST_RULES = 16  # of one HTTPRoute


def objects(endpoint: Endpoint, deployments: Sequence[Deployment], cluster: ClusterSettings) -> list[Object]:
    """Everything in front of the tenant gateway; `deployments` are the catalog's."""
    return [
        *_addresses(endpoint, cluster),
        *_certificate(endpoint, cluster),
        _gateway(endpoint, cluster),
        *_routes(endpoint, deployments, cluster),
    ]


def _metadata(
    endpoint: Endpoint,
    cluster: ClusterSettings,
    namespace: str | None = None,
    name: str | None = None,
) -> Object:
    return {
        "name": name or endpoint.name,
        "namespace": namespace or cluster.gateway.namespace,
        "labels": gateway.labels(endpoint, cluster),
    }


def _addresses(endpoint: Endpoint, cluster: ClusterSettings) -> list[Object]:
    """Not assigned by themselves: a Service gets an address of this pool only by naming it."""
    pool = endpoint.address_pool
    if pool is None:
        return []
    metadata = _metadata(endpoint, cluster, cluster.metallb_namespace)
    made: list[Object] = [
        {
            "apiVersion": "metallb.io/v1beta1",
            "kind": "IPAddressPool",
            "metadata": metadata,
            "spec": {"addresses": list(pool.addresses), "autoAssign": False},
        }
    ]
    if pool.l2:
        advertised = {"ipAddressPools": [endpoint.name]}
        made.append(
            {
                "apiVersion": "metallb.io/v1beta1",
                "kind": "L2Advertisement",
                "metadata": metadata,
                "spec": advertised,
            }
        )
    return made


def _certificate(endpoint: Endpoint, cluster: ClusterSettings) -> list[Object]:
    if endpoint.tls is None or endpoint.tls.issuer is None:
        return []
    spec = {
        "secretName": f"{endpoint.name}-tls",
        "dnsNames": [endpoint.host],
        "issuerRef": {"name": endpoint.tls.issuer, "kind": "ClusterIssuer"},
        "privateKey": {"rotationPolicy": "Always"},
    }
    metadata = _metadata(endpoint, cluster)
    return [{"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": metadata, "spec": spec}]


def _gateway(endpoint: Endpoint, cluster: ClusterSettings) -> Object:
    spec: Object = {"gatewayClassName": cluster.gateway_class, "listeners": [_listener(endpoint)]}
    if endpoint.address_pool is not None:
        # The second name is what MetalLB before 0.14 reads.
        annotations = ("metallb.io/address-pool", "metallb.universe.tf/address-pool")
        spec["infrastructure"] = {"annotations": dict.fromkeys(annotations, endpoint.name)}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": _metadata(endpoint, cluster),
        "spec": spec,
    }


def _listener(endpoint: Endpoint) -> Object:
    """HTTPS on 443. Without TLS, HTTP on 80: for a load balancer in front that ends TLS itself."""
    same = {"allowedRoutes": {"namespaces": {"from": "Same"}}, "hostname": endpoint.host}
    if endpoint.tls is None:
        return {"name": "http", "protocol": "HTTP", "port": 80, **same}
    secret = endpoint.tls.secret or f"{endpoint.name}-tls"
    tls = {"mode": "Terminate", "certificateRefs": [{"name": secret}]}
    return {"name": "https", "protocol": "HTTPS", "port": 443, "tls": tls, **same}


def _routes(endpoint: Endpoint, deployments: Sequence[Deployment], cluster: ClusterSettings) -> list[Object]:
    """One rule for `/v1`, one per public path; so many to an HTTPRoute as it may have."""
    served = [
        deployment
        for deployment in deployments
        if endpoint.deployments == "all" or deployment.name in endpoint.deployments
    ]
    paths = sorted(deployment.path for deployment in served if deployment.path is not None)
    rules = [_rule(endpoint, ""), *(_rule(endpoint, path) for path in paths)]
    chunks = [rules[start : start + _MOST_RULES] for start in range(0, len(rules), _MOST_RULES)]
    return [
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": _metadata(endpoint, cluster, name=f"{endpoint.name}-{n}" if n else None),
            "spec": {
                "parentRefs": [{"name": endpoint.name}],
                "hostnames": [endpoint.host],
                "rules": chunk,
            },
        }
        for n, chunk in enumerate(chunks)
    ]


def _rule(endpoint: Endpoint, path: str) -> Object:
    """A stream lasts as long as it lasts, so the proxy gives no request a deadline."""
    rewritten = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v1"}}
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": f"{path.rstrip('/')}/v1"}}],
        **({"filters": [{"type": "URLRewrite", "urlRewrite": rewritten}]} if path else {}),
        "backendRefs": [{"name": gateway.name(endpoint), "port": gateway.PORT}],
        "timeouts": {"request": "0s"},
    }

"""Promises of the edge's operators as the cluster has them: cert-manager, MetalLB, Envoy Gateway."""

from testbed.cluster.objects import Object, Objects, condition, eventually

CERTIFICATES = "cert-manager.io/v1"
GATEWAYS = "gateway.networking.k8s.io/v1"


def test_a_self_signed_certificate_becomes_ready_and_its_secret_is_there(
    cert_manager: None, objects: Objects, namespace: str
) -> None:
    issuer = {"metadata": {"name": "own"}, "spec": {"selfSigned": {}}}
    certificate = {
        "metadata": {"name": "api"},
        "spec": {
            "secretName": "api-tls",
            "dnsNames": ["api.example.com"],
            "issuerRef": {"name": "own", "kind": "Issuer"},
        },
    }
    objects.apply(
        [_of(CERTIFICATES, "Issuer", issuer), _of(CERTIFICATES, "Certificate", certificate)], namespace
    )

    def is_ready() -> bool:
        return condition(objects.get(CERTIFICATES, "Certificate", "api", namespace), "Ready") == "True"

    eventually(is_ready, "the certificate is Ready")
    secret = objects.get("v1", "Secret", "api-tls", namespace)
    assert secret is not None
    assert {"tls.crt", "tls.key"} <= set(secret["data"])


def test_a_load_balancer_gets_an_address_of_the_pool_it_names(
    metallb: None, objects: Objects, namespace: str
) -> None:
    pool = {
        "metadata": {"name": namespace, "namespace": "metallb-system"},
        "spec": {"addresses": ["192.0.2.10-192.0.2.12"]},
    }
    service = {
        "metadata": {"name": "edge", "annotations": {"metallb.universe.tf/address-pool": namespace}},
        "spec": {"type": "LoadBalancer", "selector": {"app": "none"}, "ports": [{"port": 443}]},
    }
    objects.apply([_of("metallb.io/v1beta1", "IPAddressPool", pool)])
    try:
        objects.apply([_of("v1", "Service", service)], namespace)

        def address() -> str | None:
            found = objects.get("v1", "Service", "edge", namespace) or {}
            given = found.get("status", {}).get("loadBalancer", {}).get("ingress", [])
            return given[0]["ip"] if given else None

        assert eventually(address, "an address") in {f"192.0.2.{last}" for last in (10, 11, 12)}
    finally:
        objects.delete("metallb.io/v1beta1", "IPAddressPool", namespace, "metallb-system")


def test_a_gateway_and_its_route_are_accepted(envoy_gateway: None, objects: Objects, namespace: str) -> None:
    gateway_class = {
        "metadata": {"name": namespace},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    }
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    gateway = {
        "metadata": {"name": "edge"},
        "spec": {"gatewayClassName": namespace, "listeners": [listener]},
    }
    backend = {"name": "gateway", "port": 8080}
    route = {
        "metadata": {"name": "all"},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [backend]}]},
    }
    service = {"metadata": {"name": "gateway"}, "spec": {"ports": [{"port": 8080}]}}
    objects.apply([_of(GATEWAYS, "GatewayClass", gateway_class)])
    try:
        objects.apply(
            [
                _of("v1", "Service", service),
                _of(GATEWAYS, "Gateway", gateway),
                _of(GATEWAYS, "HTTPRoute", route),
            ],
            namespace,
        )

        def is_accepted() -> bool:
            return condition(objects.get(GATEWAYS, "Gateway", "edge", namespace), "Accepted") == "True"

        def route_is_accepted() -> bool:
            found = objects.get(GATEWAYS, "HTTPRoute", "all", namespace) or {}
            parents = found.get("status", {}).get("parents", [])
            return any(condition({"status": parent}, "Accepted") == "True" for parent in parents)

        eventually(is_accepted, "the Gateway is accepted")
        eventually(route_is_accepted, "the route is accepted")
    finally:
        objects.delete(GATEWAYS, "GatewayClass", namespace)


def _of(api_version: str, kind: str, content: Object) -> Object:
    return {"apiVersion": api_version, "kind": kind, **content}

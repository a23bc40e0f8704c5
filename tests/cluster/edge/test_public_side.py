"""What is rendered of an Endpoint's public side, as cert-manager, MetalLB and Envoy Gateway take it.

Belongs here: statuses that the real controllers give to it. Does not: traffic (there is no Envoy).
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from slipway.catalog import Deployment, Endpoint
from slipway.catalog.documents import AddressPool, Tls
from slipway.runtimes.cluster import edge
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from testbed.cluster.objects import Object, Objects, condition, eventually

from ..runtimes.rich import cluster_settings

GATEWAYS = "gateway.networking.k8s.io/v1"
ADDRESSES = ("203.0.113.10", "203.0.113.11")


@pytest.fixture
def around(objects: Objects, namespace: str) -> Iterator[ClusterSettings]:
    """A class of Envoy Gateway's, an issuer, and all of Slipway's in the test's namespace."""
    gateway_class = {
        "apiVersion": GATEWAYS,
        "kind": "GatewayClass",
        "metadata": {"name": namespace},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
    }
    issuer = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": namespace},
        "spec": {"selfSigned": {}},
    }
    objects.apply([gateway_class, issuer])
    base = cluster_settings(namespace)
    yield replace(base, gateway_class=namespace, gateway=replace(base.gateway, namespace=namespace))
    objects.delete(GATEWAYS, "GatewayClass", namespace)
    objects.delete("cert-manager.io/v1", "ClusterIssuer", namespace)


def test_the_rendered_edge_gets_its_certificate_its_listener_its_routes_and_its_address_pool(
    cert_manager: None,
    metallb: None,
    envoy_gateway: None,
    objects: Objects,
    namespace: str,
    around: ClusterSettings,
) -> None:
    pool = AddressPool(addresses=(f"{ADDRESSES[0]}-{ADDRESSES[1]}",))
    endpoint = Endpoint(name=namespace, host="api.example.com", tls=Tls(issuer=namespace), address_pool=pool)
    deployment = Deployment.model_validate(
        {"name": "chat", "model": "m", "runtime": "vllm", "engine": "e", "path": "/llm"}
    )
    backend = {"metadata": {"name": f"gateway-{namespace}"}, "spec": {"ports": [{"port": 8080}]}}
    objects.apply([{"apiVersion": "v1", "kind": "Service", **backend}], namespace)
    made = edge.objects(endpoint, [deployment], around)
    try:
        objects.apply(made)
        eventually(lambda: is_so(objects, namespace, "cert-manager.io/v1", "Certificate", "Ready"), "issued")
        eventually(lambda: is_so(objects, namespace, GATEWAYS, "Gateway", "Accepted"), "the Gateway")
        eventually(lambda: listener_is_programmed(objects, namespace), "its certificate is found")
        eventually(lambda: route_is_resolved(objects, namespace), "the routes lead to the gateway")
        # What a controller of Envoys makes of the Gateway's infrastructure annotations.
        named = next(each for each in made if each["kind"] == "Gateway")["spec"]["infrastructure"]
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "edge", "annotations": named["annotations"]},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 443}]},
        }
        objects.apply([service], namespace)
        assert eventually(lambda: address(objects, namespace), "an address of the pool") in ADDRESSES
    finally:
        for each in made:
            objects.delete(
                each["apiVersion"], each["kind"], each["metadata"]["name"], each["metadata"]["namespace"]
            )


def is_so(objects: Objects, name: str, api_version: str, kind: str, what: str) -> bool:
    """A condition of an object that is named as the Endpoint."""
    return condition(objects.get(api_version, kind, name, name), what) == "True"


def listener_is_programmed(objects: Objects, name: str) -> bool:
    """References of the one listener, the certificate's secret among them, are resolved."""
    found: Object = objects.get(GATEWAYS, "Gateway", name, name) or {}
    listeners = found.get("status", {}).get("listeners") or [{}]
    return condition({"status": listeners[0]}, "ResolvedRefs") == "True"


def route_is_resolved(objects: Objects, name: str) -> bool:
    """Accepted by the Gateway, with its backend found."""
    found: Object = objects.get(GATEWAYS, "HTTPRoute", name, name) or {}
    parents = found.get("status", {}).get("parents") or [{}]
    return all(condition({"status": parents[0]}, each) == "True" for each in ("Accepted", "ResolvedRefs"))


def address(objects: Objects, namespace: str) -> str | None:
    """What MetalLB gave."""
    found: Object = objects.get("v1", "Service", "edge", namespace) or {}
    given = found.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    return given[0].get("ip")

"""Which objects stand around deployments, and where those lie that may be left over."""

from dataclasses import replace
from typing import Any, cast

from slipway.catalog import Deployment, Endpoint
from slipway.dataplane.kubernetes.cluster_parts import ClusterParts
from slipway.dataplane.kubernetes.keeping import WantedParts
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, Pods, StoreAddress

AROUND = ClusterSettings(store=StoreAddress("http://s3:1", "slipway"), gateway=Pods("system", {"app": "g"}))
SHARED = Deployment.model_validate(
    {
        "name": "chat",
        "model": "m",
        "runtime": "vllm",
        "engine": "e",
        "resources": {"gpu": {"sharing": "mps"}},
    }
)
PUBLIC = Endpoint(name="public", host="api.example.com")


def data_plane(around: ClusterSettings, *endpoints: Endpoint) -> WantedParts:
    return ClusterParts(cast(Any, None), cast(Any, None), around).data_plane([SHARED], endpoints)


def kinds(wanted: WantedParts) -> list[str]:
    return [each["kind"] for each in wanted.objects]


def test_the_gateways_namespace_is_made_only_where_a_gateway_is() -> None:
    names = [each["metadata"]["name"] for each in data_plane(AROUND).objects if each["kind"] == "Namespace"]
    assert names == ["slipway"]
    both = data_plane(AROUND, PUBLIC).objects
    assert [each["metadata"]["name"] for each in both if each["kind"] == "Namespace"] == ["slipway", "system"]


def test_the_gpu_operators_policy_is_written_on_demand_alone() -> None:
    assert "ClusterPolicy" not in kinds(data_plane(AROUND))
    asked = data_plane(replace(AROUND, gpu_operator_namespace="gpu-operator"))
    assert kinds(asked)[-2:] == ["ConfigMap", "ClusterPolicy"]
    assert asked.objects[-2]["metadata"]["namespace"] == "gpu-operator"


def test_what_another_home_made_is_not_even_looked_at() -> None:
    wanted = data_plane(AROUND, PUBLIC)
    gateways = [place for place in wanted.leftovers if place.kind == "Deployment"]
    assert [(place.namespace, place.is_other) for place in gateways] == [("system", False)]
    assert all("slipway.dev/home=slipway" in place.labels for place in gateways)
    assert {place.is_other for place in wanted.leftovers if place.namespace == "metallb-system"} == {True}


def test_gateways_of_endpoints_that_are_there_are_kept() -> None:
    keep = data_plane(AROUND, PUBLIC).keep
    assert keep({"metadata": {"labels": {"slipway.dev/endpoint": "public"}}})
    assert not keep({"metadata": {"labels": {"slipway.dev/endpoint": "gone"}}})

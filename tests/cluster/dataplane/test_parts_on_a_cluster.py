"""What stands around deployments: namespaces with their bounds and gateways, on a real API server.

Belongs here: making, repairing and taking away, under Slipway's own Role. Does not: a gateway that serves
(../rollouts), what controllers do with the public side (../edge).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from kubernetes.client import ApiClient

from slipway.catalog import Catalog, Deployment, Endpoint
from slipway.catalog.documents import AddressPool, Tls
from slipway.control.cluster_parts import retire
from slipway.dataplane.errors import ConfigRefusedError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.errors import ForbiddenError
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.planes.planes import Key, Planes
from slipway.runtimes.cluster import rbac
from slipway.runtimes.rendering import identity
from testbed.cluster import namespaces
from testbed.cluster.objects import Objects

from .conftest import IMAGE, cluster_settings

HOST = "api.example.com"
GIVEN = {"labels": {identity.MANAGED_BY: identity.SLIPWAY}}


def deployment(name: str = "chat", **fields: Any) -> Deployment:
    """A deployment as the catalog has it; nothing of it is rolled out here."""
    written = {"name": name, "model": "m", "runtime": "vllm", "engine": "e", "path": "/llm", **fields}
    return Deployment.model_validate(written)


def bounded(cpu: int) -> Deployment:
    """One whose namespace has a quota."""
    return deployment(isolation={"quota": {"cpu": cpu}})


@pytest.fixture
def plane(
    crds: Callable[..., None], as_role: Callable[..., ApiClient], namespace: str, objects: Objects
) -> Kubernetes:
    """A cluster whose client has Slipway's own rights, in a namespace that was given to it."""
    crds("gateway.networking.k8s.io_gateways", "gateway.networking.k8s.io_httproutes")
    objects.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, **GIVEN}}])
    return make(as_role(rbac.role(namespace, "slipway-s3")["rules"], rbac.cluster_role()["rules"]), namespace)


def make(api: ApiClient, namespace: str, home: str | None = None) -> Kubernetes:
    """Everything of Slipway's in one namespace, but perhaps its home."""
    around = cluster_settings(home or namespace, slipway_image=IMAGE, metallb_namespace=namespace)
    return Kubernetes(
        KubernetesApi(api, patience_s=10),
        replace(around, gateway=replace(around.gateway, namespace=namespace)),
    )


def brought(plane: Kubernetes, deployments: list[Deployment], endpoints: list[Endpoint]) -> list[str]:
    """What bringing them does, object by object."""
    around, done = plane.cluster_parts(), []
    wanted = [around.data_plane(deployments, endpoints)]
    wanted += [around.gateway(each, deployments) for each in endpoints]
    for each in wanted:
        done += around.bring(each, lambda _: None)
    return [f"{each.action} {each.ref.kind} {each.ref.name}" for each in done]


def test_a_cluster_is_prepared_and_what_its_catalog_drops_goes(
    plane: Kubernetes, objects: Objects, namespace: str
) -> None:
    public = Endpoint(name="public", host=HOST)
    made = brought(plane, [bounded(4)], [public])
    assert {
        "create NetworkPolicy slipway-deny",
        "create LimitRange slipway",
        "create ResourceQuota slipway",
        "create StatefulSet gateway-public",
        "create PodDisruptionBudget gateway-public",
        "create Gateway public",
        "create HTTPRoute public",
    } <= set(made)
    assert brought(plane, [bounded(4)], [public]) == []
    around = plane.cluster_parts()
    assert around.missing_store_secrets(around.data_plane([bounded(4)], [public])) == (namespace,)
    assert brought(plane, [bounded(8)], [public]) == ["update ResourceQuota slipway"]
    labels = f"{identity.MANAGED_BY}={identity.SLIPWAY}"
    assert objects.list("apps/v1", "StatefulSet", namespace, labels)
    gone = brought(plane, [deployment(path=None)], [Endpoint(name="other", host=HOST)])
    assert {
        "delete ResourceQuota slipway",
        "delete StatefulSet gateway-public",
        "delete Gateway public",
    } <= set(gone)
    left = objects.list("apps/v1", "StatefulSet", namespace, labels)
    assert [each["metadata"]["name"] for each in left] == ["gateway-other"]


def test_a_public_side_stays_as_it_is_and_what_the_endpoint_drops_goes(
    plane: Kubernetes, crds: Callable[..., None]
) -> None:
    crds("cert-manager.io_certificates", "metallb.io_ipaddresspools", "metallb.io_l2advertisements")
    pool = AddressPool(addresses=("203.0.113.10-203.0.113.12",))
    full = Endpoint(name="public", host=HOST, tls=Tls(issuer="public-ca"), address_pool=pool)
    made = brought(plane, [deployment()], [full])
    public = {"Certificate public", "IPAddressPool public", "L2Advertisement public"}
    assert {f"create {each}" for each in public} <= set(made)
    assert brought(plane, [deployment()], [full]) == []
    plain = Endpoint(name="public", host=HOST, tls=Tls(secret="mine"))
    done = brought(plane, [deployment()], [plain])
    assert {each for each in done if each.startswith("delete")} == {f"delete {each}" for each in public}
    assert "update Gateway public" in done


def test_a_cluster_that_a_catalog_leaves_is_rid_of_its_gateways(plane: Kubernetes) -> None:
    public = Endpoint(name="public", host=HOST)
    brought(plane, [deployment()], [public])
    planes = Planes({Key("kubernetes"): lambda: plane})
    engine = {"name": "e", "server": "vllm", "images": {"nvidia": {"image": "engine", "tag": "1.0.0"}}}
    models = [{"name": "m", "source": f"hf://o/m@{'1' * 40}"}]
    used = {"models": models, "engines": [engine], "deployments": [deployment()], "endpoints": [public]}
    assert retire(planes, Catalog.model_validate(used), lambda _: None) == ()
    gone = retire(planes, Catalog(endpoints=(public,)), lambda _: None)
    assert {"StatefulSet gateway-public", "Gateway public", "ServiceAccount gateway-public"} <= {
        f"{each.ref.kind} {each.ref.name}" for each in gone if each.action == "delete"
    }
    assert retire(planes, Catalog(endpoints=(public,)), lambda _: None) == ()


def test_the_gateways_of_another_slipway_in_the_same_namespace_stay(
    plane: Kubernetes, api: ApiClient, objects: Objects, namespace: str
) -> None:
    brought(plane, [deployment()], [Endpoint(name="public", host=HOST)])
    neighbour = make(api, namespace, home=f"{namespace}-other").cluster_parts()
    wanted = neighbour.data_plane([], [Endpoint(name="theirs", host=HOST)])
    plans = neighbour.plans(replace(wanted, objects=()))
    assert [each for each in plans if each.action == "delete"] == []
    assert objects.get("apps/v1", "StatefulSet", "gateway-public", namespace) is not None


@pytest.fixture
def fresh(objects: Objects, namespace: str) -> Iterator[str]:
    """A name of a namespace that is not there; gone afterwards."""
    yield f"{namespace}-x"
    namespaces.delete(objects, f"{namespace}-x")


def test_a_namespace_is_made_and_its_plan_names_what_goes_into_it(
    api: ApiClient, namespace: str, fresh: str, objects: Objects
) -> None:
    around = make(api, namespace).cluster_parts()
    wanted = around.data_plane([deployment(isolation={"namespace": fresh, "quota": {"cpu": 2}})], [])
    planned = [f"{each.action} {each.ref}" for each in around.plans(wanted, confirmed=True)]
    assert planned[:2] == [
        f"create Namespace {fresh}",
        f"create NetworkPolicy slipway-deny in namespace {fresh}",
    ]
    assert objects.get("v1", "Namespace", fresh) is None
    around.bring(wanted, lambda _: None)
    made = objects.get("v1", "Namespace", fresh)
    assert made is not None
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert around.missing_store_secrets(wanted) == (fresh,)


def test_somebody_elses_namespace_is_never_taken(plane: Kubernetes, api: ApiClient, objects: Objects) -> None:
    around = make(api, "kube-public").cluster_parts()
    wanted = around.data_plane([deployment()], [])
    with pytest.raises(ConfigRefusedError, match=r"Namespace kube-public exists and is not Slipway's.*label"):
        around.bring(wanted, lambda _: None)
    assert objects.list("networking.k8s.io/v1", "NetworkPolicy", "kube-public") == []


@pytest.mark.parametrize(("verb", "resource"), [("patch", "resourcequotas"), ("list", "httproutes")])
def test_one_verb_less_is_named(
    verb: str, resource: str, plane: Kubernetes, as_role: Callable[..., ApiClient], namespace: str
) -> None:
    rules = [_without(each, resource) for each in rbac.role(namespace, "slipway-s3")["rules"]]
    rules += [
        {
            "apiGroups": each["apiGroups"],
            "resources": [resource],
            "verbs": [v for v in each["verbs"] if v != verb],
        }
        for each in rbac.role(namespace, "slipway-s3")["rules"]
        if resource in each["resources"]
    ]
    poor = make(
        as_role([each for each in rules if each["resources"]], rbac.cluster_role()["rules"]), namespace
    )
    with pytest.raises(ForbiddenError, match=rf'may not {verb} {resource}.*verbs: \["{verb}"\]'):
        brought(poor, [bounded(4)], [Endpoint(name="public", host=HOST)])


def _without(rule: Mapping[str, Any], resource: str) -> dict[str, Any]:
    return {**rule, "resources": [each for each in rule["resources"] if each != resource]}

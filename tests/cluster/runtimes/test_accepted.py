"""A real API server with each runtime's definitions takes what is rendered, and keeps every field of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from kubernetes.client.exceptions import ApiException

from slipway.catalog import Deployment, Endpoint
from slipway.catalog.documents import AddressPool, Tls
from slipway.runtimes import registry, table
from slipway.runtimes.cluster import edge, gateway, gpu_sharing, namespaces, rbac
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, ObjectName
from slipway.runtimes.samples import SAMPLES
from testbed.cluster.objects import Object, Objects

from .kept import lost

DEFINITIONS = {
    "vllm": ("leaderworkerset.x-k8s.io_leaderworkersets", "keda.sh_scaledobjects"),
    "kubeai": ("kubeai.org_models",),
    "kserve": ("serving.kserve.io_inferenceservices", "serving.kserve.io_llminferenceservices"),
    "kuberay": ("ray.io_rayservices", "gateway.networking.k8s.io_httproutes"),
    "nim": ("apps.nvidia.com_nimservices", "apps.nvidia.com_nimcaches"),
    "dynamo": (
        "nvidia.com_dynamographdeployments",
        "nvidia.com_dynamomodels",
        "nvidia.com_dynamographdeploymentscalingadapters",
        "keda.sh_scaledobjects",
    ),
}
MONITORS = "monitoring.coreos.com_podmonitors"
AROUND = (
    "gateway.networking.k8s.io_gateways",
    "gateway.networking.k8s.io_httproutes",
    "cert-manager.io_certificates",
    "metallb.io_ipaddresspools",
    "metallb.io_l2advertisements",
    "nvidia.com_clusterpolicies",
)


@pytest.mark.parametrize("runtime", DEFINITIONS)
def test_what_a_runtime_renders_is_accepted_and_nothing_is_pruned(
    runtime: str, objects: Objects, crds: Callable[..., None], namespace: str
) -> None:
    crds(MONITORS, *DEFINITIONS[runtime])
    here = replace(table.CLUSTER_SETTINGS, namespace=namespace, kubeai=ObjectName(namespace, "kubeai"))
    problems = [problem for each in rendered(runtime, here) for problem in refusals(objects, each)]
    assert problems == []


def rendered(runtime: str, here: ClusterSettings) -> Iterator[Object]:
    """Every object of every sample that the runtime takes, once."""
    seen: set[str] = set()
    for sample in SAMPLES:
        if sample.field == "isolation.namespace" or table.treatment(runtime, sample).kind == "refused":
            continue
        made = registry.on_cluster(runtime).render(table.deployments(runtime, sample)[1], here)
        for each in (*made.objects, *made.public):
            if repr(each) not in seen:
                seen.add(repr(each))
                yield each


def test_what_surrounds_deployments_is_accepted_and_nothing_is_pruned(
    objects: Objects, crds: Callable[..., None], namespace: str
) -> None:
    crds(*AROUND)
    here = replace(
        table.CLUSTER_SETTINGS,
        namespace=namespace,
        metallb_namespace=namespace,
        gateway=replace(table.CLUSTER_SETTINGS.gateway, namespace=namespace),
    )
    written = {"name": "chat", "model": "m", "runtime": "vllm", "engine": "e", "path": "/llm"}
    shared = {"resources": {"gpu": {"sharing": "mps"}}, "isolation": {"quota": {"cpu": 8, "memory": "8Gi"}}}
    deployment = Deployment.model_validate({**written, **shared})
    pool = AddressPool(addresses=("203.0.113.10-203.0.113.12",))
    endpoint = Endpoint(name="api", host="api.example.com", tls=Tls(issuer="ca"), address_pool=pool)
    made = [
        *namespaces.objects([deployment], here),
        *edge.objects(endpoint, [deployment], here),
        *gateway.objects(endpoint, here),
        *gpu_sharing.objects([deployment], here, namespace),
        rbac.role(namespace, "slipway-s3"),
        rbac.cluster_role(),
    ]
    assert [problem for each in made for problem in refusals(objects, each)] == []


def refusals(objects: Objects, sent: Object) -> Iterator[str]:
    """What the API server says against an object, or does not keep of it; nothing is stored."""
    named = sent["metadata"]
    where = objects.path(sent["apiVersion"], sent["kind"], named.get("namespace"), named["name"])
    query = {"fieldManager": "slipway-test", "fieldValidation": "Strict", "dryRun": "All", "force": "true"}
    try:
        kept = objects.call("PATCH", where, sent, **query)
    except ApiException as error:
        yield f"{sent['kind']} {named['name']}: {error.body}"
        return
    yield from (f"{sent['kind']} {named['name']}{path}" for path in lost(sent, kept))


def test_a_field_that_the_server_does_not_know_would_be_found(
    objects: Objects, crds: Callable[..., None], namespace: str
) -> None:
    crds("kubeai.org_models")
    here = replace(table.CLUSTER_SETTINGS, kubeai=ObjectName(namespace, "kubeai"))
    (model,) = (each for each in rendered("kubeai", here) if "LeastLoad" in str(each) and "tone" in str(each))
    model["spec"]["replcas"] = 3
    assert ".spec.replcas" in " ".join(refusals(objects, model))

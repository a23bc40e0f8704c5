"""What isolates deployments, as the API server enforces it: Pod Security, quota, defaults, tokens, policies.

Belongs here: admission of rendered pods in rendered namespaces. Does not: whether a CNI enforces policies
(the test cluster's does not).
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from slipway.catalog import Deployment
from slipway.runtimes import registry
from slipway.runtimes.cluster import namespaces
from slipway.runtimes.rendering import flows
from testbed.cluster.objects import Object, Objects, eventually

from ..runtimes.rich import RICH, Rich, cluster_settings, resolved

# A class that is not installed would refuse the pod before anything else is looked at.
_NO_CLASS = {"isolation": {"quota": {"cpu": 100, "memory": "400Gi"}}}


@pytest.fixture
def isolated(objects: Objects, make_namespace: Callable[..., str]) -> Callable[[Deployment], str]:
    """A namespace made as Slipway makes those of a deployment, with its ServiceAccounts."""

    def make(deployment: Deployment) -> str:
        name = make_namespace()
        objects.apply(namespaces.objects([deployment], cluster_settings(name)))
        quota = objects.get("v1", "ResourceQuota", "slipway", name)
        eventually(
            lambda: (
                quota is None
                or (objects.get("v1", "ResourceQuota", "slipway", name) or {})["status"].get("hard")
            ),
            "the quota is counted",
        )
        return name

    return make


def rich(name: str) -> Rich:
    """The rich deployment with a quota instead of a RuntimeClass."""
    found = RICH[name]
    return Rich(found.runtime, found.server, found.crds, found.without, {**found.written, **_NO_CLASS})


RENDERS_PODS = ("vllm", "llama.cpp on vllm", "LeaderWorkerSet", "LLMInferenceService", "KubeRay", "Dynamo")


@pytest.mark.parametrize("name", RENDERS_PODS)
def test_rendered_pods_are_admitted_where_pod_security_quota_and_limits_hold(
    name: str, objects: Objects, isolated: Callable[[Deployment], str]
) -> None:
    spec = resolved(rich(name))
    namespace = isolated(spec.deployment)
    made = registry.on_cluster(spec.deployment.runtime).render(spec, cluster_settings(namespace)).objects
    objects.apply([each for each in made if each["kind"] == "ServiceAccount"])
    pods = [admitted(objects, namespace, each) for each in templates(list(made))]
    assert pods
    for pod in pods:
        for container in pod["spec"]["containers"]:
            assert container["resources"]["requests"]["cpu"], "the quota counts it"
            assert container["resources"]["limits"]["memory"], "it is bounded"
    assert [has_token(pod) for pod in pods] == TOKENS.get(name, [False] * len(pods))


# Dynamo's pods find each other through the API server, and Ray's head scales its workers there.
TOKENS = {"Dynamo": [True, True], "KubeRay": [True, False]}


def has_token(pod: Object) -> bool:
    """Whether its containers may speak to the API server."""
    return any("projected" in volume for volume in pod["spec"].get("volumes", ()))


def templates(found: Any) -> Iterator[Object]:
    """Every pod template in objects."""
    if isinstance(found, dict):
        if isinstance(found.get("containers"), list):
            yield {"spec": found, "metadata": {}}
            return
        for value in found.values():
            yield from templates(value)
    elif isinstance(found, list):
        for value in found:
            yield from templates(value)


def admitted(objects: Objects, namespace: str, template: Object) -> Object:
    """The pod as admission leaves it; nothing is stored. Raises ApiException when it is refused."""
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asked"}, "spec": template["spec"]}
    pod: Object = objects.call("POST", objects.path("v1", "Pod", namespace), body, dryRun="All")
    return pod


def test_what_is_not_rendered_by_slipway_and_asks_for_more_is_refused(
    objects: Objects, isolated: Callable[[Deployment], str]
) -> None:
    namespace = isolated(resolved(rich("vllm")).deployment)
    container: Object = {"name": "main", "image": "registry.slipway.test/web:1"}
    root = {"spec": {"containers": [{**container, "securityContext": {"privileged": True}}]}}
    with pytest.raises(ApiException, match=r"PodSecurity.*restricted"):
        admitted(objects, namespace, root)


def test_a_pod_beyond_the_quota_is_refused(objects: Objects, isolated: Callable[[Deployment], str]) -> None:
    spec = resolved(rich("vllm"))
    namespace = isolated(spec.deployment)
    made = registry.on_cluster("vllm").render(spec, cluster_settings(namespace)).objects
    (template,) = templates(list(made))
    template["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "101", "memory": "1Gi"},
        "limits": {"memory": "1Gi"},
    }
    with pytest.raises(ApiException, match="exceeded quota: slipway"):
        admitted(objects, namespace, template)


def test_nothing_is_open_that_no_deployment_asked_for(
    objects: Objects, isolated: Callable[[Deployment], str]
) -> None:
    spec = resolved(rich("vllm"))
    namespace = isolated(spec.deployment)
    around = cluster_settings(namespace)
    objects.apply(
        [
            each
            for each in registry.on_cluster("vllm").render(spec, around).objects
            if each["kind"] == "NetworkPolicy"
        ]
    )
    policies = {
        each["metadata"]["name"]: each["spec"]
        for each in objects.list("networking.k8s.io/v1", "NetworkPolicy", namespace)
    }
    deny = policies.pop("slipway-deny")
    assert (deny["podSelector"], deny.get("ingress"), deny.get("egress")) == ({}, None, None)
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    (own,) = policies.values()
    # In: the gateway, Prometheus, and its own pods. Out: name servers, the store, its own pods.
    own_pods = {"podSelector": own["podSelector"]}
    assert [each["from"] for each in own["ingress"]] == [
        [flows.peer(around.gateway), flows.peer(around.prometheus)] if around.prometheus else [],
        [own_pods],
    ]
    assert [each.get("to", [])[-1] for each in own["egress"]][-1] == own_pods
    assert len(own["egress"]) == 3
    pod = next(templates(list(registry.on_cluster("vllm").render(spec, around).objects)))
    ports = {port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    assert {each["port"] for each in own["ingress"][0]["ports"]} == ports

"""Promises of the test cluster itself: what the other tests here stand on is a real Kubernetes."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from kubernetes.client import ApiClient, CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from urllib3.exceptions import HTTPError

from testbed.cluster import cluster as test_cluster
from testbed.cluster.cluster import Running
from testbed.cluster.objects import Object, Objects, condition, eventually

WEB = {
    "name": "web",
    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
}


def deployment(name: str, container: Object, replicas: int = 1, **pod: object) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], **pod}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def test_up_again_is_harmless(cluster: Running, objects: Objects) -> None:
    before = objects.get("v1", "Namespace", "kube-system")
    again = test_cluster.up(cluster.layout, print, kept=False)
    assert again.ports == cluster.ports
    assert objects.get("v1", "Namespace", "kube-system") == before


def test_a_pod_is_ready_answers_logs_and_runs_commands(
    cluster: Running, api: ApiClient, objects: Objects, namespace: str
) -> None:
    web = {**WEB, "image": cluster.images["web"].reference}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    objects.apply([deployment("web", web, replicas=2), service], namespace)

    def is_available() -> bool:
        return condition(objects.get("apps/v1", "Deployment", "web", namespace), "Available") == "True"

    eventually(is_available, "two pods are Ready")
    pods = [each["metadata"]["name"] for each in objects.list("v1", "Pod", namespace)]
    core = CoreV1Api(api)
    assert "listening on :8080" in core.read_namespaced_pod_log(pods[0], namespace)

    def fetched(url: str) -> str:
        run = core.connect_get_namespaced_pod_exec
        return str(stream(run, pods[0], namespace, command=["/web", "get", url], stdout=True, stderr=True))

    by_name = f"http://web.{namespace}.svc.cluster.local"
    eventually(lambda: "hello from web-" in fetched(by_name), "the Service answers by its name", timeout_s=20)
    address = objects.get("v1", "Service", "web", namespace)["spec"]["clusterIP"]  # type: ignore[index]
    answers = {fetched(f"http://{address}").strip() for _ in range(20)}
    assert answers == {f"hello from {pod}" for pod in pods}


def test_a_fake_gpu_is_scheduled_once(
    cluster: Running, objects: Objects, namespace: str, gpu_node: Callable[..., str]
) -> None:
    gpu_node(1)
    wants = {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}
    for name in ("first", "second"):
        container = {**WEB, "image": cluster.images["web"].tag, "resources": wants}
        objects.apply(
            [
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": name},
                    "spec": {"containers": [container]},
                }
            ],
            namespace,
        )
        eventually(
            lambda name=name: condition(objects.get("v1", "Pod", name, namespace), "PodScheduled"),
            f"{name} was looked at",
        )
    statuses = {
        each["metadata"]["name"]: condition(each, "PodScheduled")
        for each in objects.list("v1", "Pod", namespace)
    }
    assert statuses == {"first": "True", "second": "False"}


def test_the_api_server_comes_back_with_what_it_had(
    objects: Objects, namespace: str, without: Callable[..., AbstractContextManager[None]]
) -> None:
    before = objects.get("v1", "Namespace", namespace)
    with without("kube-apiserver"), pytest.raises(HTTPError):
        objects.get("v1", "Namespace", namespace)
    assert objects.get("v1", "Namespace", namespace) == before


def test_a_pod_under_an_engines_name_gets_a_volume_and_this_environment(
    objects: Objects,
    make_namespace: Callable[..., str],
    stand_in: Callable[[str], str],
    local_volumes: Callable[..., str],
) -> None:
    namespace = make_namespace({"slipway.test/host-files": "true"})
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": local_volumes(1),
        "resources": {"requests": {"storage": "1Gi"}},
    }
    container = {
        "name": "engine",
        "image": stand_in("vllm/vllm-openai:v0.12.0"),
        "command": ["python", "-c", "import slipway; open('/cache/written', 'w')"],
        "securityContext": {"runAsUser": 10001},
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
    }
    volume = {"name": "cache", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
    spec = {"restartPolicy": "Never", "containers": [container], "volumes": [volume]}
    objects.apply(
        [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "engine"}, "spec": spec}], namespace
    )

    def phase() -> str:
        return str((objects.get("v1", "Pod", "engine", namespace) or {}).get("status", {}).get("phase"))

    assert (
        eventually(lambda: phase() in ("Succeeded", "Failed") and phase(), "the pod has ended") == "Succeeded"
    )


def test_a_role_gets_what_it_was_given_and_nothing_else(
    objects: Objects, namespace: str, as_role: Callable[..., ApiClient]
) -> None:
    reader = Objects(as_role([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]))
    assert [each["metadata"]["name"] for each in reader.list("v1", "ConfigMap", namespace)] == [
        "kube-root-ca.crt"
    ]
    with pytest.raises(ApiException) as refused:
        reader.list("v1", "Secret", namespace)
    assert refused.value.status == 403


def test_a_definition_is_installed_and_its_schema_enforced(
    objects: Objects, namespace: str, crds: Callable[..., None]
) -> None:
    crds("kubeai.org_models")
    model = {
        "apiVersion": "kubeai.org/v1",
        "kind": "Model",
        "metadata": {"name": "m"},
        "spec": {"url": "s3://b/m", "engine": "VLLM", "features": ["TextGeneration"]},
    }
    (stored,) = objects.apply([model], namespace)
    assert stored["spec"]["url"] == "s3://b/m"
    with pytest.raises(ApiException) as refused:
        objects.apply([{**model, "spec": {**model["spec"], "engine": "Nonsense"}}], namespace)  # type: ignore[dict-item]
    assert refused.value.status == 422


def test_kwok_takes_300_pods_on_50_nodes(
    objects: Objects, namespace: str, kwok_nodes: Callable[..., list[str]]
) -> None:
    nodes = kwok_nodes(50, {"type": "many"})
    container = {"name": "c", "image": "registry.slipway.test/fake:1"}
    toleration = {"key": "kwok.x-k8s.io/node", "operator": "Exists"}
    fake = deployment("many", container, 300, tolerations=[toleration], nodeSelector={"type": "many"})
    objects.apply([fake], namespace)

    def ready() -> int:
        return int(objects.get("apps/v1", "Deployment", "many", namespace)["status"].get("readyReplicas", 0))  # type: ignore[index]

    eventually(lambda: ready() == 300, "300 pods are Ready", timeout_s=60)
    used = {each["spec"]["nodeName"] for each in objects.list("v1", "Pod", namespace)}
    assert used <= set(nodes)


def test_the_kubeconfig_is_for_its_owner_alone(kubeconfig: Path) -> None:
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    assert "slipway-test" in json.dumps(kubeconfig.read_text())

"""Autoscalers act on what Slipway rendered, and Slipway leaves their replicas alone.

Belongs here: KEDA and an HPA on a rendered deployment. Does not: KEDA by itself (../operators), an HPA's
number that is left (../dataplane).
"""

import urllib.request

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.records.revisions import Applied
from slipway.runtimes.rendering import identity
from testbed.cluster.cluster import Running
from testbed.cluster.fake_prometheus import FakePrometheus
from testbed.cluster.objects import Objects, condition, eventually

from ..dataplane.conftest import cluster_settings, fake, resolve
from ..dataplane.test_wait import running

PER_REPLICA = 4


def test_keda_scales_by_requests_between_the_bounds_and_applying_again_leaves_its_number(
    cluster: Running,
    keda: None,
    objects: Objects,
    namespace: str,
    fake_nodes: list[str],
    prometheus: FakePrometheus,
) -> None:
    # KEDA looks up every variable of what it scales, and makes no autoscaler where a Secret is missing.
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "slipway-s3"}, "stringData": keys}
    objects.apply([secret], namespace)
    around = cluster_settings(namespace, prometheus_url=prometheus.url)
    plane = Kubernetes(KubernetesApi(objects.api, patience_s=30), around)
    scaling = {
        "min_replicas": 1,
        "max_replicas": 3,
        "target": {"ongoing_requests": PER_REPLICA},
        "upscale_delay_s": 0,
        "downscale_delay_s": 0,
    }
    wanted = plane.render(fake(autoscaling=scaling))
    plane.apply(wanted)
    plane.wait(wanted, 60, lambda _: None)

    def replicas() -> int:
        found = objects.get("apps/v1", "Deployment", wanted.application, namespace)
        return int(found["spec"]["replicas"]) if found else -1

    def scaled_object_is_ready() -> bool:
        found = objects.get("keda.sh/v1alpha1", "ScaledObject", wanted.application, namespace)
        return condition(found, "Ready") == "True"

    eventually(scaled_object_is_ready, "KEDA takes the ScaledObject")
    prometheus.value = 10 * PER_REPLICA  # ten replicas' worth, and three are the most
    eventually(lambda: replicas() == 3, "as many as are allowed")
    assert plane.diff(wanted).action == "none"
    plane.apply(wanted)
    plane.wait(wanted, 60, lambda _: None)
    assert replicas() == 3
    prometheus.value = 0
    eventually(lambda: replicas() == 1, "the fewest that are allowed")


# Of what one replica asks for 200 %, and still 67 % when three share it.
ASKED = {"cpu": "100m", "memory": "64Mi"}
TAKEN = {"cpu": 20, "memory": 128}


def test_an_hpa_scales_by_cpu_or_memory_between_the_bounds_and_applying_again_leaves_its_number(
    cluster: Running, metrics_server: None, objects: Objects, namespace: str
) -> None:
    plane = Kubernetes(KubernetesApi(objects.api, patience_s=30), cluster_settings(namespace))
    image = cluster.images["web"].reference
    scaling = {"min_replicas": 1, "max_replicas": 3, "upscale_delay_s": 0, "downscale_delay_s": 0}
    both = {
        metric: plane.render(
            resolve(name=metric, autoscaling={**scaling, "target": {f"{metric}_percent": 50}})
        )
        for metric in ASKED
    }
    for metric, rendered in both.items():
        both[metric] = running(rendered, image, resources={"requests": ASKED})
        plane.apply(both[metric])
    for wanted in both.values():
        plane.wait(wanted, 60, lambda _: None)
    first = {metric: pod_url(objects, namespace, wanted) for metric, wanted in both.items()}

    def replicas() -> set[int]:
        made = objects.list("apps/v1", "Deployment", namespace)
        return {int(each["spec"]["replicas"]) for each in made}

    for metric, url in first.items():
        load(url, metric, TAKEN[metric])
    eventually(lambda: replicas() == {3}, "as many as are allowed", timeout_s=90)
    for wanted in both.values():
        assert plane.diff(wanted).action == "none"
        plane.apply(wanted)
        plane.wait(wanted, 60, lambda _: None)
    assert replicas() == {3}
    for metric, url in first.items():
        load(url, metric, 0)
    eventually(lambda: replicas() == {1}, "the fewest that are allowed", timeout_s=90)


def pod_url(objects: Objects, namespace: str, wanted: Applied) -> str:
    """Where the only pod of a revision answers."""
    (pod,) = objects.list("v1", "Pod", namespace, f"{identity.INSTANCE}={wanted.application}")
    return f"http://{pod['status']['podIP']}:8080"


def load(url: str, metric: str, amount: int) -> None:
    """Have the pod take percent of a CPU, or MiB of memory."""
    with urllib.request.urlopen(f"{url}/load?{metric}={amount}", timeout=10) as answer:
        assert answer.status == 200

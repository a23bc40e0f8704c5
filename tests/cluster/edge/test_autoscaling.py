"""Autoscalers act on what Slipway rendered, and Slipway leaves their replicas alone.

Belongs here: KEDA on a rendered deployment. Does not: KEDA by itself (../operators), an HPA's number that is
left (../dataplane).
"""

from slipway.dataplane.kubernetes.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes

from ..dataplane.conftest import fake, surroundings
from ..fake_prometheus import FakePrometheus
from ..harness.cluster import Running
from ..harness.objects import Objects, condition, eventually

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
    around = surroundings(namespace, prometheus_url=prometheus.url)
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

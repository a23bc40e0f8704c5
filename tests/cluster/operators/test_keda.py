"""Promises of KEDA as the cluster has it: what Slipway's autoscaling is tested on."""

from testbed.cluster.cluster import Running
from testbed.cluster.fake_prometheus import FakePrometheus
from testbed.cluster.objects import Object, Objects, eventually

THRESHOLD = 10


def test_a_scaled_object_makes_an_hpa_and_moves_replicas_between_zero_and_many(
    cluster: Running, keda: None, objects: Objects, namespace: str, prometheus: FakePrometheus
) -> None:
    objects.apply([_web(cluster), _scaled_object(prometheus.url)], namespace)

    def replicas() -> int:
        found = objects.get("apps/v1", "Deployment", "web", namespace)
        return int(found["spec"]["replicas"]) if found else -1

    eventually(
        lambda: objects.get("autoscaling/v2", "HorizontalPodAutoscaler", "keda-hpa-web", namespace),
        "KEDA made an HPA",
    )
    eventually(lambda: replicas() == 0, "no load: no replica")
    prometheus.value = 2.5 * THRESHOLD  # asks for 3 replicas
    eventually(lambda: replicas() == 3, "load of two and a half replicas: three")
    prometheus.value = 0
    eventually(lambda: replicas() == 0, "the load went away")


def _web(cluster: Running) -> Object:
    labels = {"app": "web"}
    container = {"name": "web", "image": cluster.images["web"].reference}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def _scaled_object(url: str) -> Object:
    trigger = {
        "type": "prometheus",
        "metadata": {"serverAddress": url, "query": "sum(x)", "threshold": str(THRESHOLD)},
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "minReplicaCount": 0,
            "maxReplicaCount": 4,
            "pollingInterval": 1,
            "cooldownPeriod": 3,
            "triggers": [trigger],
        },
    }

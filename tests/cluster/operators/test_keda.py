"""Promises of KEDA as the cluster has it: what Slipway's autoscaling is tested on."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from ..harness.cluster import Running
from ..harness.layout import BRIDGE_IP
from ..harness.objects import Object, Objects, eventually

THRESHOLD = 10


class FakePrometheus(http.server.ThreadingHTTPServer):
    """Answers every query with `value`."""

    daemon_threads = True
    value = 0.0

    @property
    def url(self) -> str:
        return f"http://{BRIDGE_IP}:{self.server_port}"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: FakePrometheus

    def do_GET(self) -> None:
        result = [{"metric": {}, "value": [1, str(self.server.value)]}]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def fake_prometheus(cluster: Running) -> Iterator[FakePrometheus]:
    with FakePrometheus((BRIDGE_IP, 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_scaled_object_makes_an_hpa_and_moves_replicas_between_zero_and_many(
    cluster: Running, keda: None, objects: Objects, namespace: str, fake_prometheus: FakePrometheus
) -> None:
    objects.apply([_web(cluster), _scaled_object(fake_prometheus.url)], namespace)

    def replicas() -> int:
        found = objects.get("apps/v1", "Deployment", "web", namespace)
        return int(found["spec"]["replicas"]) if found else -1

    eventually(
        lambda: objects.get("autoscaling/v2", "HorizontalPodAutoscaler", "keda-hpa-web", namespace),
        "KEDA made an HPA",
    )
    eventually(lambda: replicas() == 0, "no load: no replica")
    fake_prometheus.value = 2.5 * THRESHOLD  # asks for 3 replicas
    eventually(lambda: replicas() == 3, "load of two and a half replicas: three")
    fake_prometheus.value = 0
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

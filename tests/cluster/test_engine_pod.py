"""Promises of the images that pods run: the real engine answers in a pod, with weights from S3."""

import json
import urllib.request
from collections.abc import Callable

from slipway.artifacts.weights.manifest import Manifest
from slipway.objectstore import ObjectStore
from testbed import stores
from testbed.cluster.objects import Object, Objects, condition, eventually


def test_the_real_engine_answers_in_a_pod_that_may_write_nothing_but_its_volumes(
    objects: Objects,
    make_namespace: Callable[..., str],
    engine_image: str,
    pod_store: ObjectStore,
    demo_weights: Manifest,
) -> None:
    namespace = make_namespace({"pod-security.kubernetes.io/enforce": "restricted"})
    objects.apply([_engine(engine_image, pod_store, demo_weights)], namespace)

    def is_ready() -> bool:
        return condition(objects.get("v1", "Pod", "engine", namespace), "Ready") == "True"

    eventually(is_ready, "the engine is Ready", timeout_s=120)
    pod = objects.get("v1", "Pod", "engine", namespace)
    assert pod is not None
    address = pod["status"]["podIP"]
    question = {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    answer = _post(f"http://{address}:8000/v1/chat/completions", question)
    assert answer["choices"][0]["message"]["content"]
    assert 1 <= answer["usage"]["completion_tokens"] <= 4


def _engine(image: str, store: ObjectStore, manifest: Manifest) -> Object:
    wanted = {
        "deployment": "chat",
        "spec_digest": "0" * 64,
        "served_name": "smollm2",
        "model_prefix": manifest.prefix,
        "engine_args": ["--ctx-size=512", "--threads=1"],
    }
    location = store.location
    environment = {
        **stores.variables(location),
        "SLIPWAY_NODE_CACHE": "/cache/weights",
        "HOME": "/cache",
    }
    security = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    container = {
        "name": "engine",
        "image": image,
        "command": ["python", "-m", "slipway.engines.standalone", json.dumps(wanted)],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1},
        "securityContext": security,
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    pod_security = {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001}
    spec = {
        "securityContext": {**pod_security, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "cache", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "engine"}, "spec": spec}


def _post(url: str, body: Object) -> Object:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: Object = json.loads(answer.read())
    return found

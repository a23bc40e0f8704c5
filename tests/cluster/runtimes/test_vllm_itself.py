"""Real vLLM in a pod as the renderer makes it: a user without rights, a root that cannot be written to."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.objectstore import ObjectStore
from slipway.runtimes.cluster import namespaces
from slipway.runtimes.cluster.store_secret import store_secret
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, StoreAddress
from slipway.runtimes.vllm import render as vllm
from testbed.cluster import debian, images
from testbed.cluster.cluster import Running
from testbed.cluster.objects import Object, Objects, eventually
from testbed.vllm import environments, serving, tiny_models
from testbed.weights import COMMIT

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

ON_CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
QUESTION = {"prompt": "the capital of france", "max_tokens": 8, "temperature": 0}


@pytest.fixture(scope="module")
def made_before(cluster: Running) -> Path:
    """VLLM's environment, which the node binds into pods when the cluster starts."""
    made = environments.vllm_made()
    if made is None:
        pytest.skip("vLLM's environment is not there. Run `python -m testbed.vllm.environments` first.")
    return made


@pytest.fixture(scope="module")
def vllm_image(cluster: Running, made_before: Path) -> str:
    """By digest: an image whose entry point is vLLM's server."""
    image = images.of_environment("vllm/vllm-openai-cpu:v0.32.0", made_before, serving.ENTRY_POINT)
    programs = debian.node_programs(cluster.layout)
    return images.ensure(cluster.layout, programs, {"vllm": image})["vllm"].reference


@pytest.fixture(scope="module")
def tiny_store(
    pod_store: ObjectStore, made_before: Path, tmp_path_factory: pytest.TempPathFactory
) -> ObjectStore:
    """Where its model and adapter are published."""
    made = tmp_path_factory.mktemp("models") / "made"
    tiny_models.make(made)
    tiny_models.publish(pod_store, made)
    return pod_store


def test_vllm_and_an_adapter_answer_behind_the_service_of_a_restricted_pod(
    objects: Objects,
    make_namespace: Callable[..., str],
    engine_image: str,
    vllm_image: str,
    tiny_store: ObjectStore,
) -> None:
    namespace = make_namespace({"slipway.test/host-files": "yes"})
    location = tiny_store.location
    store = StoreAddress(location.endpoint_url, location.bucket, location.region)
    around = ClusterSettings(store=store, namespace=namespace, slipway_image=engine_image)
    spec = resolved(vllm_image)
    rendered = vllm.render(spec, around)
    objects.apply(namespaces.objects([spec.deployment], around))
    objects.apply([store_secret(store, namespace, location.access_key, location.secret_key)])
    objects.apply(rendered.objects)

    def is_available() -> bool:
        found = objects.get("apps/v1", "Deployment", spec.revision_name, namespace) or {}
        return bool(found.get("status", {}).get("availableReplicas") == 1)

    eventually(is_available, "vLLM is available", timeout_s=600)
    service = objects.get("v1", "Service", rendered.address.service, namespace)
    assert service is not None
    url = f"http://{service['spec']['clusterIP']}:8000"
    listed = {each["id"] for each in asked(f"{url}/v1/models")["data"]}
    assert listed == {"tiny", "adapter"}
    said = {name: asked(f"{url}/v1/completions", {"model": name, **QUESTION}) for name in sorted(listed)}
    assert [each["usage"]["completion_tokens"] for each in said.values()] == [8, 8]
    assert said["tiny"]["choices"][0]["text"] != said["adapter"]["choices"][0]["text"]


def resolved(image: str) -> ResolvedDeployment:
    deployment = Deployment.model_validate(
        {
            "name": "tiny",
            "model": "text",
            "runtime": "vllm",
            "engine": "vllm",
            "adapters": [{"adapter": tiny_models.ADAPTER}],
            "args": ["--enforce-eager", "--dtype=float32", "--max-num-seqs=4"],
            "env": ON_CPU,
            "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "10Gi"}},
            "isolation": {"quota": {"cpu": 2, "memory": "12Gi"}},
        }
    )
    pinned = {
        name: ResolvedArtifact(name=name, source="file:///made", commit=COMMIT)
        for name in ("text", tiny_models.ADAPTER)
    }
    return ResolvedDeployment(
        deployment=deployment,
        engine=Engine(name="vllm", server="vllm"),
        model=pinned["text"],
        adapters=(pinned[tiny_models.ADAPTER],),
        image=image,
    )


def asked(url: str, body: Object | None = None) -> Object:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: Object = json.loads(answer.read())
    return found

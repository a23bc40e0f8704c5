"""What is rendered runs: a plain Deployment with the real engine, in a namespace that isolates it."""

import json
import urllib.request
from collections.abc import Callable

from slipway.artifacts.weights.manifest import Manifest
from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.objectstore import ObjectStore
from slipway.runtimes.cluster import namespaces
from slipway.runtimes.cluster.store_secret import store_secret
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, StoreAddress
from slipway.runtimes.vllm import render as vllm
from testbed.cluster.objects import Object, Objects, eventually


def test_a_rendered_engine_serves_behind_its_service_under_pod_security_restricted(
    objects: Objects,
    make_namespace: Callable[..., str],
    engine_image: str,
    pod_store: ObjectStore,
    demo_weights: Manifest,
) -> None:
    namespace = make_namespace()
    location = pod_store.location
    store = StoreAddress(location.endpoint_url, location.bucket, location.region)
    around = ClusterSettings(store=store, namespace=namespace)
    spec = resolved(engine_image, demo_weights)
    rendered = vllm.render(spec, around)
    objects.apply(namespaces.objects([spec.deployment], around))
    objects.apply([store_secret(store, namespace, location.access_key, location.secret_key)])
    objects.apply(rendered.objects)
    objects.apply(rendered.public)

    eventually(lambda: is_available(objects, namespace, spec), "the engine is available", timeout_s=120)
    (pod,) = objects.list("v1", "Pod", namespace, labels=f"{identity.INSTANCE}={spec.revision_name}")
    assert pod["metadata"]["annotations"][identity.SPEC_DIGEST] == spec.spec_digest
    for service in (rendered.address.service, "chat"):
        found = objects.get("v1", "Service", service, namespace)
        assert found is not None
        url = f"http://{found['spec']['clusterIP']}:8000"
        told = eventually(lambda url=url: spec_told(url), f"{service} answers")
        assert (told["spec_digest"], told["replica"]) == (spec.spec_digest, pod["metadata"]["name"])
        said = asked(f"{url}/v1/completions", {"model": "chat", "prompt": "The capital of France is"})
        assert "Paris" in said["choices"][0]["text"]


def resolved(image: str, manifest: Manifest) -> ResolvedDeployment:
    deployment = Deployment.model_validate(
        {
            "name": "chat",
            "model": manifest.name,
            "runtime": "vllm",
            "engine": "llama",
            "args": ["--ctx-size=512", "--predict=8", "--temp=0"],
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
            "isolation": {"quota": {"cpu": 2, "memory": "4Gi"}},
        }
    )
    return ResolvedDeployment(
        deployment=deployment,
        engine=Engine(name="llama", server="llama.cpp"),
        model=ResolvedArtifact(name=manifest.name, source=manifest.source, commit=manifest.commit),
        image=image,
    )


def is_available(objects: Objects, namespace: str, spec: ResolvedDeployment) -> bool:
    """The condition Available would not do: with one replica that may be missing, it is True without any."""
    found = objects.get("apps/v1", "Deployment", spec.revision_name, namespace) or {}
    return bool(found.get("status", {}).get("availableReplicas") == 1)


def spec_told(url: str) -> Object | None:
    """None while the node's rules for a new Service are not there yet."""
    try:
        return asked(f"{url}/-/spec")
    except OSError:
        return None


def asked(url: str, body: Object | None = None) -> Object:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=30) as answer:
        found: Object = json.loads(answer.read())
    return found

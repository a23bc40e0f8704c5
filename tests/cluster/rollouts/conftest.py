"""A deployment on the real node behind the real gateway, both in pods, and the Dagster runs that change it.

Belongs here: fixtures. Does not: promises, what a test may do with a world (world.py).
"""

import os
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml

from assets import keys
from slipway.objectstore import ObjectStore
from slipway.runtimes.cluster import gateway as gateway_objects
from slipway.runtimes.cluster.store_secret import store_secret
from slipway.runtimes.rendering import identity, pods
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, Pods, StoreAddress
from slipway.stack.demo.traffic import Client, Seen
from slipway.tenants import TenantsDatabase
from testbed import stores
from testbed.cluster import addons, debian, images, namespaces, weights
from testbed.cluster.cluster import Running
from testbed.cluster.objects import Object, Objects, eventually

from . import deploying
from .world import ENDPOINT, World

PER_SECOND = 20
NONSENSE = "colourless green ideas"

# A fake engine that says that it is ready and answers 200, in the image of one.
_NONSENSE_ENGINE = f"""
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def do_GET(self):
        self.answer({{"object": "list", "data": [{{"id": "chat", "object": "model"}}]}})
    def do_POST(self):
        choice = {{"index": 0, "text": "{NONSENSE}", "finish_reason": "stop"}}
        self.answer({{"id": "1", "object": "text_completion", "model": "chat", "choices": [choice]}})
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
_LABELS = {"app.kubernetes.io/name": "slipway-gateway"}


@pytest.fixture(scope="module")
def own_store(pod_store: ObjectStore) -> ObjectStore:
    """A bucket of this module's own, with the model: what other worlds' gateways still ship is not in it."""
    bucket = f"world-{uuid.uuid4().hex[:8]}"
    store = ObjectStore(replace(pod_store.location, bucket=bucket))
    store.ensure_bucket()
    weights.publish_demo_model(store)
    return store


@pytest.fixture(scope="module")
def bare(
    cluster: Running,
    objects: Objects,
    make_namespace: Callable[..., str],
    engine_image: str,
    gateway_image: str,
    own_store: ObjectStore,
    tmp_path_factory: pytest.TempPathFactory,
    crds: Callable[..., None],
) -> Iterator[World]:
    """The data plane and the gateway as their assets bring them; nothing is deployed yet."""
    crds("gateway.networking.k8s.io_gateways", "gateway.networking.k8s.io_httproutes")
    # They are there already, with their secrets, and given to Slipway.
    given = {identity.MANAGED_BY: identity.SLIPWAY}
    namespace, system = make_namespace(given), make_namespace(given)
    home, location = tmp_path_factory.mktemp("rollouts"), own_store.location
    around = ClusterSettings(
        store=StoreAddress(location.endpoint_url, location.bucket, location.region),
        namespace=namespace,
        slipway_image=gateway_image,
        gateway=Pods(system, _LABELS),
    )
    settings = home / "settings.yaml"
    spools = addons.local_storage(f"spools-{namespace}", home, 1, "10Gi")
    objects.apply(spools)
    known = {
        "namespace": namespace,
        "slipway_image": gateway_image,
        "gateway": {"namespace": system, "labels": _LABELS},
        "gateway_spool_class": spools[0]["metadata"]["name"],
    }
    settings.write_text(yaml.safe_dump(known))
    variables = {
        "SLIPWAY_HOME": str(home),
        **stores.variables(location),
        "SLIPWAY_KUBECONFIG": str(cluster.kubeconfig),
        "SLIPWAY_KUBE_REACH": "cluster-ip",
        "SLIPWAY_KUBE_SETTINGS": str(settings),
        "SLIPWAY_GATEWAY_TOKEN": secrets.token_urlsafe(),
    }
    image, _, digest = engine_image.partition("@")
    engine = {"server": "llama.cpp", "images": {"cpu": {"image": image, "digest": digest}}}
    catalog = home / "catalog"
    catalog.mkdir()
    source = f"hf://test/smollm2@{weights.COMMIT}"
    world = World(catalog, namespace, objects, own_store, engine, source, system, variables)
    world.write()
    for each in (namespace, system):
        objects.apply([store_secret(around.store, each, location.access_key, location.secret_key)])
    _start_gateway(cluster, world, around)
    yield world
    shutil.rmtree(catalog)
    for each in (namespace, system):
        namespaces.delete(objects, each)  # now: the next one needs the room
    for each in reversed(spools):
        objects.delete(each["apiVersion"], each["kind"], each["metadata"]["name"])


def _start_gateway(cluster: Running, world: World, around: ClusterSettings) -> None:
    """One replica, whose database is in its own volume: this process reaches it as the node's disk.

    The run that brings it waits until it serves, which it does when it finds its database.
    """
    objects, variables, namespace = world.objects, world.variables, world.system
    keys = {"token": variables["SLIPWAY_GATEWAY_TOKEN"], "tenants-db": "sqlite:////cache/tenants.db"}
    metadata = {"name": around.gateway_secret, "namespace": namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys}
    objects.apply([secret])
    labels = ",".join(f"{name}={value}" for name, value in _LABELS.items())

    def running() -> Object | None:
        found = objects.list("v1", "Pod", namespace, labels)
        return next((each for each in found if each["status"].get("phase") == "Running"), None)

    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(deploying.bring_around, world.catalog, dict(variables))
        eventually(lambda: running() or run.done(), "the gateway's pod runs")
        pod = running()
        assert pod is not None, deploying.failures(run.result())
        volume = (
            cluster.layout.kubelet / "pods" / pod["metadata"]["uid"] / "volumes/kubernetes.io~empty-dir/cache"
        )
        _make_database(volume / "tenants.db", variables)
        assert run.result().success, deploying.failures(run.result())
    service = objects.get("v1", "Service", f"gateway-{ENDPOINT}", namespace)
    assert service is not None
    variables["SLIPWAY_GATEWAY_URLS"] = f"http://{service['spec']['clusterIP']}:{gateway_objects.PORT}"


def _make_database(path: Path, variables: dict[str, str]) -> None:
    variables["SLIPWAY_TENANTS_DB"] = f"sqlite:///{path}"
    database = TenantsDatabase(variables["SLIPWAY_TENANTS_DB"])
    database.migrate()
    database.close()
    for each in path.parent.glob("tenants.db*"):
        os.chown(each, pods.USER, pods.USER)


@pytest.fixture(scope="module")
def deployed(bare: World) -> World:
    """The deployment rolled out, validated and routed by Dagster, at prices that were taken before."""
    for result in (deploying.materialize(bare.catalog, bare.variables, [keys.PRICES]), bare.deploy()):
        assert result.success, deploying.failures(result)
    return bare


@pytest.fixture(scope="module")
def client(bare: World) -> Client:
    """A tenant with a key that the gateway knows."""
    database = TenantsDatabase(bare.variables["SLIPWAY_TENANTS_DB"])
    database.migrate()
    database.sync_orgs(["acme"])
    database.add_user("acme", "ann")
    secret = database.create_key("acme", "ann", "tests").secret
    database.close()
    made = Client("acme", bare.variables["SLIPWAY_GATEWAY_URLS"], secret)
    eventually(lambda: made.chat("no-such-model", "?", stream=False).status == 404, "the key works")
    made.seen.clear()
    return made


@pytest.fixture(scope="module")
def nonsense_engine(cluster: Running) -> Mapping[str, Any]:
    """Fields of an engine whose image is a fake one that answers nonsense."""
    plain = images.of_environment("registry.slipway.test/venv/nonsense:1")
    program = ["python", "-c", _NONSENSE_ENGINE]
    image = replace(plain, config={**plain.config, "Entrypoint": program})
    stored = images.ensure(cluster.layout, debian.node_programs(cluster.layout), {"nonsense": image})
    name, _, digest = stored["nonsense"].reference.partition("@")
    return {"server": "vllm", "images": {"cpu": {"image": name, "digest": digest}}}


@contextmanager
def flowing(client: Client, per_second: int = PER_SECOND) -> Iterator[list[Seen]]:
    """Requests at a fixed rate, whether earlier ones are answered or not; all are answered when it ends."""
    stop, seen = Event(), list[Seen]()

    def ask(pool: ThreadPoolExecutor) -> None:
        due = time.monotonic()
        while not stop.is_set():
            pool.submit(lambda: seen.append(client.complete("chat", "The capital of", max_tokens=1)))
            due += 1 / per_second
            stop.wait(max(due - time.monotonic(), 0))

    with ThreadPoolExecutor(64) as pool:
        asking = Thread(target=ask, args=(pool,))
        asking.start()
        try:
            yield seen
        finally:
            stop.set()
            asking.join()

"""A deployment on the real node behind the real gateway, both in pods, and the Dagster runs that change it.

Belongs here: fixtures. Does not: promises.
"""

import os
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import dagster as dg
import pytest
import yaml

from slipway.catalog.resolved import ResolvedDeployment, resolve
from slipway.control.check import check_catalog
from slipway.dataplane.planes.connected import connected
from slipway.dataplane.planes.planes import Planes
from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from slipway.records.revisions import RevisionStore
from slipway.records.route_store import RouteStore
from slipway.runtimes.cluster import gateway as gateway_objects
from slipway.runtimes.cluster.store_secret import store_secret
from slipway.runtimes.rendering import identity, pods
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, Pods, StoreAddress
from slipway.stack.demo.traffic import Client, Seen
from slipway.tenants import TenantsDatabase
from testbed import stores
from testbed.cluster import debian, images, namespaces, weights
from testbed.cluster.cluster import Running
from testbed.cluster.objects import Object, Objects, eventually

from . import deploying

PER_SECOND = 20
ENDPOINT = "public"
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
_DEPLOYMENT: Mapping[str, Any] = {
    "model": "smollm2",
    "runtime": "vllm",
    "engine": "llama",
    "args": ["--ctx-size=512", "--parallel=2"],
    "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    "rollout": {"deadline_s": 120, "drain_s": 20},
    "sharing": ["acme"],
    "price": "standard",
}


@dataclass
class World:
    """A catalog, the servers that it is deployed to, and what was found there."""

    catalog: Path
    namespace: str
    objects: Objects
    store: ObjectStore
    engine: Mapping[str, Any]
    source: str
    system: str
    variables: dict[str, str] = field(repr=False)
    endpoint: dict[str, Any] = field(default_factory=dict)

    def write(self, **fields: Any) -> None:
        """The catalog with one deployment `chat`; `fields` are edits of it. `engine_fields` of its engine."""
        engine = {**self.engine, **fields.pop("engine_fields", {})}
        documents = [
            ("Model", "smollm2", {"source": self.source}),
            ("Engine", "llama", engine),
            ("Deployment", "chat", {**_DEPLOYMENT, **fields}),
            ("Endpoint", ENDPOINT, {"host": "llm.example", **self.endpoint}),
            ("Organization", "acme", {}),
            ("PriceBook", "standard", {"currency": "EUR", "prices": [PRICE]}),
        ]
        text = yaml.safe_dump_all({"kind": k, "name": n, "spec": s} for k, n, s in documents)
        (self.catalog / "catalog.yaml").write_text(text)

    def deploy(self, **fields: Any) -> dg.ExecuteInProcessResult:
        """Edit the catalog, and run everything that follows."""
        self.write(**fields)
        return deploying.deploy(self.catalog, self.variables)

    @property
    def revisions(self) -> RevisionStore:
        """Records of what was rolled out."""
        return RevisionStore(self.store)

    @property
    def plane(self) -> Planes:
        """The data planes that the environment names."""
        return connected(Environment.load(self.variables))

    def routed(self) -> str:
        """The spec digest that the published routes name."""
        (route,) = RouteStore(self.store).latest().table.routes
        return route.revision

    def serving(self) -> set[str]:
        """Spec digests that serve in the cluster now."""
        return {each.spec_digest for each in self.plane.status("chat") if each.is_serving}

    def applications(self) -> set[str]:
        """All revisions that are in the cluster and are not parked."""
        return {each.spec_digest for each in self.plane.status("chat") if not each.is_parked}

    def parked(self) -> set[str]:
        """All revisions that are kept at zero for rolling back."""
        return {each.spec_digest for each in self.plane.status("chat") if each.is_parked}

    def validated(self) -> set[str]:
        """All revisions whose record says that they were good."""
        return {each.spec_digest for each in self.revisions.all("chat") if each.state == "validated"}

    def resolved(self) -> ResolvedDeployment:
        """What the catalog wants."""
        catalog = check_catalog(self.catalog).catalog
        return resolve(catalog, catalog.deployments[0], {})

    def pod_digests(self) -> set[str]:
        """Spec digests of all engines' pods, also of those that are ending."""
        found = self.objects.list("v1", "Pod", self.namespace, identity.DEPLOYMENT)
        return {each["metadata"]["annotations"][identity.SPEC_DIGEST] for each in found}


PRICE = {
    "effective_from": "2026-01-01T00:00:00Z",
    "input": "0.10",
    "cached_input": "0.025",
    "output": "0.40",
}


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
    gateway_settings = {"namespace": system, "labels": _LABELS}
    settings.write_text(
        yaml.safe_dump({"namespace": namespace, "slipway_image": gateway_image, "gateway": gateway_settings})
    )
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
    """The deployment rolled out, validated and routed by Dagster."""
    result = bare.deploy()
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

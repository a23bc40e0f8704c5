"""Real vLLM, started as the renderer says, with weights from a real store; and a gateway in front of it.

One engine at a time: each takes 2 GB and a core, so fixtures of engines live as long as their module.
"""

from __future__ import annotations

import gzip
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.objectstore import ObjectStore
from slipway.records import routes
from slipway.records.route_store import RouteStore
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, StoreAddress
from slipway.runtimes.rendering.rendered import Object
from slipway.runtimes.vllm import render as vllm
from slipway.stack.ports import free_ports
from slipway.tenants import TenantsDatabase
from testbed import gateways, server_processes, stores
from testbed.vllm import environments, serving, tiny_models
from testbed.weights import COMMIT

HERE = Path(__file__).parent
NOTES = HERE.parents[1] / "docs" / "real-engines.md"
TOKEN = "operator-token"
ORGS = ("acme", "umbrella")
IMAGE = f"registry.local:5000/engine@sha256:{'a' * 64}"
# A CPU without a GPU's memory, shared with others: little cache, one thread, nothing compiled.
SMALL = ("--enforce-eager", "--dtype=float32", "--max-num-seqs=4")
ON_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An engine takes most of a minute until it serves, the first of all also what fetches it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(1800))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The closing note: what engines did not take as was thought, as the page says it."""
    _, _, section = NOTES.read_text().partition("## What was not as we thought\n")
    rows = [
        line.strip("| ").split(" | ") for line in section.partition("\n## ")[0].splitlines() if "|" in line
    ]
    terminalreporter.section(f"what was not as we thought ({NOTES.relative_to(HERE.parents[1])})")
    for what, before, now in rows[2:]:
        terminalreporter.line(f"{what}: {before}. Now: {now}")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store in which all models are published."""
    made = tmp_path_factory.mktemp("models") / "made"
    tiny_models.make(made)
    with stores.seaweed(tmp_path_factory.mktemp("seaweedfs")) as location:
        store = stores.with_bucket(location, "models")
        tiny_models.publish(store, made)
        yield store


def resolved(model: str, *, args: tuple[str, ...] = (), **fields: Any) -> ResolvedDeployment:
    """A deployment of one of the models, with what it takes to run here; the rest as the catalog has it."""
    deployment = Deployment.model_validate(
        {
            "name": model,
            "model": model,
            "runtime": "vllm",
            "engine": "vllm",
            "args": [*SMALL, *args],
            "env": ON_CPU,
            **fields,
        }
    )
    pinned = {name: ResolvedArtifact(name=name, source="file:///made", commit=COMMIT) for name in ALL}
    return ResolvedDeployment(
        deployment=deployment,
        engine=Engine(name="vllm", server="vllm"),
        model=pinned[model],
        adapters=tuple(pinned[each.adapter] for each in deployment.adapters),
        task=tiny_models.TASKS[model],
        image=IMAGE,
    )


ALL = (*tiny_models.TASKS, tiny_models.ADAPTER)


def settings(store: ObjectStore, **more: Any) -> ClusterSettings:
    location = store.location
    address = StoreAddress(location.endpoint_url, location.bucket, location.region)
    return ClusterSettings(store=address, slipway_image=IMAGE, **more)


def workload(spec: ResolvedDeployment, store: ObjectStore) -> Object:
    rendered = vllm.render(spec, settings(store))
    return next(each for each in rendered.objects if each["kind"] == "Deployment")


@pytest.fixture(scope="module")
def serve(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Starts vLLM with a model; one at a time, ended with the module."""
    from contextlib import ExitStack

    with ExitStack() as running:

        def start(model: str, **fields: Any) -> serving.Serving:
            running.close()
            home = tmp_path_factory.mktemp(model)
            made = workload(resolved(model, **fields), store)
            secrets = serving.secrets_of(store.location)
            return running.enter_context(serving.serving(made, environments.vllm(), home, secrets))

        yield start


@dataclass(frozen=True)
class Reply:
    """What came back: whole, or the events of a stream."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The data of each event but [DONE]."""
        lines = self.body.decode().splitlines()
        data = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
        return [json.loads(each) for each in data if each != "[DONE]"]


def ask(url: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
    """POST a body, as JSON unless it is bytes; GET without."""
    sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    given = {"content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, sent, given)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return Reply(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, dict(error.headers), error.read())


@dataclass
class Gateway:
    """A gateway process with two organizations, and its events."""

    url: str
    store: ObjectStore
    secrets: dict[str, str]
    seen: set[str] = field(default_factory=set)

    def route(self, *table: routes.Route) -> None:
        """Publish a table, and wait until it is in use."""
        built = routes.build(table)
        RouteStore(self.store).change(lambda _: built)
        deadline = time.monotonic() + 60
        while self._operator("/-/status").json["routes_version"] != built.version:
            assert time.monotonic() < deadline, "the gateway does not take the routes"
            time.sleep(0.05)

    def ask(self, path: str, body: Any, org: str = ORGS[0], headers: dict[str, str] | None = None) -> Reply:
        authorized = {"authorization": f"Bearer {self.secrets[org]}", **(headers or {})}
        return ask(self.url + path, body, authorized)

    def new_events(self) -> list[dict[str, Any]]:
        """Events since the last call, in order."""
        self._operator("/-/ship", b"")
        found: dict[str, dict[str, Any]] = {}
        for stored in self.store.list("usage/"):
            for line in gzip.decompress(self.store.get(stored.key)).splitlines():
                event = json.loads(line)
                found[event["request_id"]] = event
        fresh = [found[key] for key in sorted(found.keys() - self.seen)]
        self.seen |= found.keys()
        return fresh

    def _operator(self, path: str, body: bytes | None = None) -> Reply:
        return ask(self.url + path, body, {"authorization": f"Bearer {TOKEN}"})


@pytest.fixture(scope="session")
def gateway(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for all engines; its routes are each module's."""
    home = tmp_path_factory.mktemp("gateway")
    (port,) = free_ports(1)
    database = TenantsDatabase(f"sqlite:///{home / 'tenants.db'}")
    database.migrate()
    database.sync_orgs(set(ORGS))
    secrets = {}
    for org in ORGS:
        database.add_user(org, "someone")
        secrets[org] = database.create_key(org, "someone", "test").secret
    environment = {
        **gateways.variables(home, store.location, TOKEN, port),
        "SLIPWAY_USAGE_SHIP_S": "3600",  # tests ship when they look
        "SLIPWAY_ROUTES_POLL_S": "0.1",
    }
    log = home / "gateway.log"
    with server_processes.process(gateways.COMMAND, log, environment) as started:
        url = f"http://127.0.0.1:{port}"
        server_processes.wait_until_answered(f"{url}/-/health", log, by=started)
        yield Gateway(url, store, secrets)


def route(model: str, url: str, upstream_model: str | None = None) -> routes.Route:
    """A route to an engine, shared with everybody."""
    return routes.Route(
        model=model,
        deployment=model,
        revision="d" * 64,
        upstreams=(f"{url}/v1",),
        upstream_model=upstream_model or model,
        task=tiny_models.TASKS.get(upstream_model or model, "text-generation"),
        sharing="all",
        salts_prompts=True,
    )

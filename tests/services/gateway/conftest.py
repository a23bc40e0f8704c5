"""A real gateway process, store, database and engine; and one upstream that is a fake."""

import contextlib
import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import openai
import pytest
import uuid_utils

from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.records import routes
from slipway.records.route_store import RouteStore
from slipway.stack.ports import free_ports
from slipway.tenants import TenantsDatabase
from testbed import gateways, stores
from testbed.engines.fake_engine import FakeEngine
from testbed.engines.llamacpp import llamacpp

TOKEN = "operator-token"


def until(condition: Callable[[], object], timeout_s: float = 90.0) -> float:
    """Seconds until the condition holds; fails when it does not in time."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, "did not come about in time"
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.fixture
def eventually() -> Callable[..., float]:
    return until


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llama.cpp with the demo's model in a process of its own; yields its base URL without /v1."""
    with llamacpp(tmp_path_factory.mktemp("engine"), slots=2) as url:
        yield url


@pytest.fixture(scope="session")
def shared_fake() -> Iterator[FakeEngine]:
    with FakeEngine() as fake:
        yield fake


@pytest.fixture
def fake(shared_fake: FakeEngine) -> Iterator[FakeEngine]:
    """The fake, with no memory of other tests; equal routes to it need no new table."""
    shared_fake.requests.clear()
    shared_fake.hung_up = 0
    shared_fake.release.clear()
    yield shared_fake
    shared_fake.release.set()


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@dataclass
class RunningGateway:
    """One gateway with its spool, log, database and store; can be killed, stopped and started again."""

    home: Path
    store: ObjectStore
    database: TenantsDatabase
    environment: dict[str, str]
    port: int
    metrics_port: int
    process: subprocess.Popen | None = None
    secrets: dict[str, str] = field(default_factory=dict)
    key_ids: dict[str, str] = field(default_factory=dict)
    since: str = ""
    log_since: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, ready: bool = True) -> None:
        with (self.home / "gateway.log").open("ab") as log:
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(gateways.COMMAND, env=environment, stdout=log, stderr=log)
        probe = "/-/ready" if ready else "/-/health"
        until(lambda: status_of(self.url + probe) == 200 or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 90) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def log(self) -> str:
        """What was logged since the test began."""
        return (self.home / "gateway.log").read_text()[self.log_since :]

    def begin(self) -> None:
        """A test begins: what was logged and recorded before is none of its business."""
        mark = f"/-/{uuid_utils.uuid7()}"
        self.raw(mark)  # refused, which is logged after all that was before
        until(lambda: mark in self.log())
        self.log_since += len(self.log())
        self.since = str(uuid_utils.uuid7())

    def add_org(self, org: str, *users: str) -> None:
        """An org (beside those there are) with a key per user; the first user's key is the org's."""
        self.database.sync_orgs({*(name for name in self.secrets if "/" not in name), org})
        for user in users or ("someone",):
            self.database.add_user(org, user)
            key = self.database.create_key(org, user, "test")
            for name in (org, f"{org}/{user}"):
                self.secrets.setdefault(name, key.secret)
                self.key_ids.setdefault(name, key.id)
            if self.process is not None:
                until(lambda secret=key.secret: self.raw("/v1/models", secret=secret)[0] == 200)

    def route(self, *table: routes.Route) -> None:
        """Publish a table and wait until the gateway has it."""
        built = routes.build(table)
        RouteStore(self.store).change(lambda _: built)
        if self.process is not None and self.process.poll() is None:
            until(lambda: self.status()["routes_version"] == built.version)

    def client(self, who: str, **more) -> openai.OpenAI:
        more = {"max_retries": 0, "timeout": 60, **more}
        return openai.OpenAI(api_key=self.secrets[who], base_url=f"{self.url}/v1", **more)

    def raw(self, path: str, body: object = None, *, secret: str | None = None, method: str | None = None):
        """(status, headers, body) of a plain request; bytes are sent as they are."""
        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=sent, method=method)
        if secret is not None:
            request.add_header("authorization", f"Bearer {secret}")
        try:
            with urllib.request.urlopen(request, timeout=90) as reply:
                return reply.status, dict(reply.headers), reply.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    @contextlib.contextmanager
    def hanging_up_after(self, body: dict, *, events: int) -> Iterator[None]:
        """A client that reads that many events of a stream (0: not even the headers), then hangs up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        headers = {"authorization": f"Bearer {self.secrets['acme']}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        if events:
            response = connection.getresponse()
            for _ in range(2 * events):
                response.readline()
        yield
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()

    def metrics(self) -> str:
        """What Prometheus reads."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30) as reply:
            return reply.read().decode()

    def status(self) -> dict:
        return json.loads(self.raw("/-/status", secret=TOKEN)[2])

    def ship(self) -> dict:
        status, _, body = self.raw("/-/ship", b"", secret=TOKEN)
        assert status == 200, body
        return json.loads(body)

    def events(self) -> list[dict]:
        """All events of this test in the store, after shipping; each id once, in order."""
        self.ship()
        return self.stored_events()

    def stored_events(self) -> list[dict]:
        found: dict[str, dict] = {}
        for stored in self.store.list("usage/"):
            for line in gzip.decompress(self.store.get(stored.key)).splitlines():
                event = json.loads(line)
                assert found.setdefault(event["request_id"], event) == event, "one id, two stories"
        return [found[key] for key in sorted(found) if key > self.since]


def prepare(store: ObjectStore, home: Path) -> RunningGateway:
    """A gateway's home with one org, `acme`, and no routes; not started."""
    port, metrics_port = free_ports(2)
    database = TenantsDatabase(f"sqlite:///{home / 'tenants.db'}")
    database.migrate()
    environment = {
        **gateways.variables(home, store.location, TOKEN, port, metrics_port),
        "SLIPWAY_USAGE_SHIP_S": "3600",  # tests ship when they look
        "SLIPWAY_ROUTES_POLL_S": "0.1",
    }
    gateway = RunningGateway(home, store, database, environment, port, metrics_port)
    gateway.add_org("acme")
    return gateway


def end(gateway: RunningGateway) -> None:
    if gateway.process is not None and gateway.process.poll() is None:
        gateway.kill()


@pytest.fixture
def own_gateway(store: ObjectStore, tmp_path: Path) -> Iterator[RunningGateway]:
    """A gateway for one test, which starts and ends it as it likes."""
    gateway = prepare(store, tmp_path)
    yield gateway
    end(gateway)


@pytest.fixture(scope="session")
def shared_gateway(seaweed: S3Location, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One running gateway for all tests that leave it as it was."""
    store = stores.with_bucket(seaweed, f"t-{uuid_utils.uuid7().hex[-12:]}")
    gateway = prepare(store, tmp_path_factory.mktemp("gateway"))
    gateway.start()
    yield gateway
    end(gateway)


@pytest.fixture
def gateway(shared_gateway: RunningGateway) -> RunningGateway:
    """The shared gateway; what it logs and records from now on is this test's."""
    shared_gateway.begin()
    return shared_gateway


@pytest.fixture
def route() -> Callable[..., routes.Route]:
    """Makes a route to an upstream, shared with everybody unless told otherwise."""

    def make(model: str, upstream: str, **fields) -> routes.Route:
        base = {"deployment": model, "revision": "d" * 64, "upstream_model": model, "sharing": "all"}
        return routes.Route(model=model, upstreams=(upstream,), **{**base, **fields})

    return make

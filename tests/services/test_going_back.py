"""`slipway rollback` as a whole, on a real store: one deployment's route moves, and every gateway follows.

The data plane and the gateways' status are fakes; that gateways load tables is shown with real ones.
"""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from slipway.catalog import Catalog
from slipway.catalog.deployment import Limit, Limits
from slipway.catalog.resolved import ResolvedDeployment, resolve
from slipway.control import gateways, returning, routing
from slipway.control.connections import Connections
from slipway.control.gateways import RoutesNotLoadedError
from slipway.dataplane.protocol import Report
from slipway.dataplane.validation import validation
from slipway.dataplane.validation.validation import CheckResult
from slipway.environment import Environment, MissingSettingError
from slipway.objectstore import ObjectStore
from slipway.records import revisions, routes
from slipway.records.revisions import Applied, RevisionStore
from slipway.records.route_store import RouteStore
from testbed import stores

from .fake_plane import FakePlane

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def catalog_of(number: int, sharing: object = "none") -> Catalog:
    deployment = {"model": "m", "runtime": "ray", "engine": "e", "sharing": sharing}
    return Catalog.model_validate(
        {
            "models": [{"name": "m", "source": f"hf://o/m@{'1' * 40}"}],
            "engines": [{"name": "e", "server": "llama.cpp"}],
            "deployments": [
                {"name": "chat", "env": {"N": str(number)}, **deployment},
                {"name": "other", **deployment},
            ],
        }
    )


def spec(number: int) -> ResolvedDeployment:
    return resolve(catalog_of(number), catalog_of(number).deployments[0], {})


class FakeGateway(ThreadingHTTPServer):
    """Stands for a replica's status: it loads what is published when it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Status)
        self.status: dict[str, Any] = {"replica": "gateway-7", "routes_number": 0, "in_flight": {}}
        self.asked = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Status(BaseHTTPRequestHandler):
    server: FakeGateway

    def do_GET(self) -> None:
        assert self.path == "/-/status"
        assert self.headers["authorization"] == "Bearer secret"
        body = json.dumps(self.server.status).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.asked.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def at(store: ObjectStore, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Connections:
    """Two revisions of chat, the newer one routed; a route of another deployment that has no record."""
    connected = Connections(Environment(stores.variables(store.location), tmp_path))
    connected.__dict__["planes"] = FakePlane()
    monkeypatch.setattr(validation, "validate", lambda *_: [CheckResult("completion", True, {}, "Paris")])
    records = RevisionStore(store)
    for number in (1, 2):
        resolved, when = spec(number), NOON + timedelta(minutes=number)
        applied = Applied(resolved.revision_name, "chat", resolved.spec_digest, {})
        record = revisions.of(resolved, applied, f"http://chat-{number}/v1", when)
        records.put(revisions.validated(record, (), when))
    targets = {
        "chat": routing.Target(spec(2).spec_digest, "http://chat-2/v1"),
        "other": routing.Target("f" * 64, "http://other/v1"),
    }
    RouteStore(store).change(lambda _: routing.table_of(catalog_of(2), targets))
    return connected


def with_gateways(at: Connections, *urls: str) -> Connections:
    variables = {**at.environment.variables, "SLIPWAY_GATEWAY_URLS": ",".join(urls)}
    made = Connections(Environment({**variables, "SLIPWAY_GATEWAY_TOKEN": "secret"}, at.environment.home))
    made.__dict__["planes"] = at.planes
    return made


def roll_back(at: Connections, catalog: Catalog | None = None) -> str:
    known = catalog or catalog_of(2)
    return returning.roll_back(at, known, "chat", None, lambda _: None, print).spec_digest


def test_only_its_own_route_moves_also_where_another_s_record_is_missing_and_the_catalog_has_edits(
    at: Connections,
) -> None:
    before = at.routes.latest().table.by_model
    assert roll_back(at, catalog_of(3, sharing="all")) == spec(1).spec_digest
    after = at.routes.latest().table.by_model
    assert after["other"] == before["other"]
    moved = {"revision": spec(1).spec_digest, "upstreams": ("http://chat-1/v1",)}
    assert after["chat"] == before["chat"].model_copy(update=moved)
    assert (at.planes.brought, at.planes.published) == ([spec(1).spec_digest],) * 2  # type: ignore[attr-defined]


def test_a_change_by_somebody_else_meanwhile_stays(at: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits are published while the revision is being brought back."""
    limits = Limits(org=Limit(requests_per_minute=5))
    bring = FakePlane.roll_back

    def publishing(self: FakePlane, good: Applied, deadline_s: float, report: Report) -> None:
        at.routes.change(
            lambda table: routes.build(each.model_copy(update={"limits": limits}) for each in table.routes)
        )
        bring(self, good, deadline_s, report)

    monkeypatch.setattr(FakePlane, "roll_back", publishing)
    roll_back(at)
    table = at.routes.latest().table
    assert [each.limits for each in table.routes] == [limits, limits]
    assert table.by_model["chat"].revision == spec(1).spec_digest


def test_it_ends_when_every_gateway_has_that_table_or_a_later_one(
    at: Connections, gateway: FakeGateway
) -> None:
    before = at.routes.latest().number
    gateway.status["routes_number"] = before
    back = threading.Thread(target=roll_back, args=[with_gateways(at, gateway.url)])
    back.start()
    assert gateway.asked.wait(10)
    gateway.asked.clear()
    assert gateway.asked.wait(10)  # again: it waits
    assert back.is_alive()
    gateway.status["routes_number"] = before + 3
    back.join(10)
    assert not back.is_alive()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, r"gateway gateway-7 did not load routes 2"),
        (
            {"routes_refused": "route table: not JSON"},
            r"gateway-7 \(it refuses them: route table: not JSON\)",
        ),
        ({"routes_number": None}, r"gateway-7 \(of a version before numbered routes"),
    ],
)
def test_a_gateway_that_does_not_follow_is_named_and_nothing_is_left_undone(
    at: Connections,
    gateway: FakeGateway,
    monkeypatch: pytest.MonkeyPatch,
    status: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setattr(gateways, "LOAD_TIMEOUT_S", 0.1)
    gateway.status.update(status)
    if status.get("routes_number", 0) is None:
        del gateway.status["routes_number"]
    with pytest.raises(RoutesNotLoadedError, match=said):
        roll_back(with_gateways(at, gateway.url))
    assert at.routes.latest().table.by_model["chat"].revision == spec(1).spec_digest
    assert at.planes.published == [spec(1).spec_digest]  # type: ignore[attr-defined]


def test_without_the_gateways_token_it_is_refused_before_anything_changes(at: Connections) -> None:
    variables = {**at.environment.variables, "SLIPWAY_GATEWAY_URLS": "http://gateway"}
    lacking = Connections(Environment(variables, at.environment.home))
    lacking.__dict__["planes"] = at.planes
    with pytest.raises(MissingSettingError, match="SLIPWAY_GATEWAY_TOKEN"):
        roll_back(lacking)
    assert at.planes.brought == []  # type: ignore[attr-defined]
    assert at.routes.latest().number == 1

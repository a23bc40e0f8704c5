"""The watch against a fake API server, which forgets versions and breaks connections as real ones do."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes.client import ApiClient, Configuration

from slipway.dataplane.errors import DataPlaneUnreachableError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.errors import ForbiddenError
from slipway.dataplane.kubernetes.api.watch import Watch
from slipway.runtimes.judging.verdict import Target
from testbed.registries.registry_server import make_certificate

PODS = Target("v1", "Pod", "n")
DISCOVERY = {
    "items": [
        {
            "metadata": {},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {"resource": "pods", "scope": "Namespaced", "responseKind": {"kind": "Pod"}}
                    ],
                }
            ],
        }
    ]
}


def pod(name: str, version: int) -> dict[str, Any]:
    """A pod at a resource version."""
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


@dataclass
class FakeApiServer:
    """Stands for an API server: lists `pods` at `version`, and streams what `streams` holds, one per watch.

    An item of a stream is an event, what to wait for (seconds, or a sign of the test), or `break`, as the
    connection does.
    """

    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    version: int = 1
    streams: list[list[Any]] = field(default_factory=list)
    watched_from: list[str] = field(default_factory=list)
    lists: int = 0
    turned_away: int = 0
    away: bool = False
    back_after: int | None = None
    forbidden: bool = False

    def events(self) -> list[Any]:
        """The next stream; an idle one when there are no more."""
        return self.streams.pop(0) if self.streams else [30]


class _Handler(BaseHTTPRequestHandler):
    state: FakeApiServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        state, url = self.state, urlsplit(self.path)
        if state.away:
            self.close_connection = True
            state.turned_away += 1
            if state.turned_away == state.back_after:
                state.away = False
        elif url.path in ("/api", "/apis"):
            self._answer(200, DISCOVERY if url.path == "/api" else {"items": []})
        elif state.forbidden:
            said = (
                'pods is forbidden: User "s" cannot list resource "pods" in API group "" in the namespace "n"'
            )
            self._answer(403, {"message": said, "reason": "Forbidden"})
        elif "watch" in (query := parse_qs(url.query)):
            state.watched_from.append(query["resourceVersion"][0])
            self._stream(state.events())
        else:
            state.lists += 1
            self._answer(
                200, {"items": list(state.pods.values()), "metadata": {"resourceVersion": str(state.version)}}
            )

    def _answer(self, code: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: list[Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for each in events:
            if each == "break":
                self.close_connection = True
                return
            if isinstance(each, threading.Event):
                each.wait(60)
                continue
            if isinstance(each, int | float):
                time.sleep(each)
                continue
            line = json.dumps(each).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()


@pytest.fixture
def fake_server() -> Iterator[FakeApiServer]:
    """The server's state, which tests change."""
    state = FakeApiServer(pods={"a": pod("a", 1)})
    yield state


@pytest.fixture
def connection(fake_server: FakeApiServer, tmp_path: Path) -> Iterator[ApiClient]:
    """To it, over TLS."""
    make_certificate(tmp_path)
    handler = type("Handler", (_Handler,), {"state": fake_server})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    configuration = Configuration(host=f"https://127.0.0.1:{server.server_port}")
    configuration.ssl_ca_cert = str(tmp_path / "ca.pem")
    yield ApiClient(configuration)
    server.shutdown()


@pytest.fixture
def api(connection: ApiClient) -> KubernetesApi:
    """A client of it that does not try for long."""
    return KubernetesApi(connection, patience_s=2)


def until(watch: Watch, names: set[str], timeout_s: float = 60) -> None:
    """Wait until the picture holds just these."""
    end = time.monotonic() + timeout_s
    while (found := {each["metadata"]["name"] for each in watch.objects(PODS)}) != names:
        assert time.monotonic() < end, f"{found} instead of {names}"
        watch.wait_for_change(watch.version, 0.1)


def test_changes_are_taken_in_as_they_come(api: KubernetesApi, fake_server: FakeApiServer) -> None:
    fake_server.streams = [
        [{"type": "ADDED", "object": pod("b", 2)}, {"type": "DELETED", "object": pod("a", 3)}, 30]
    ]
    with Watch(api, [PODS]) as watch:
        until(watch, {"b"})
    assert fake_server.lists == 1


def test_a_broken_connection_goes_on_from_the_last_bookmark_without_a_new_list(
    api: KubernetesApi, fake_server: FakeApiServer
) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "77"}}}
    fake_server.streams = [[bookmark, "break"], [{"type": "ADDED", "object": pod("b", 78)}, 30]]
    with Watch(api, [PODS]) as watch:
        until(watch, {"a", "b"})
    assert fake_server.watched_from[:2] == ["1", "77"]
    assert fake_server.lists == 1


def test_a_version_that_is_forgotten_is_listed_again_and_what_vanished_meanwhile_is_gone(
    api: KubernetesApi, fake_server: FakeApiServer
) -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}
    changed = threading.Event()
    fake_server.streams = [[changed, gone], [{"type": "ADDED", "object": pod("d", 91)}, 30]]
    with Watch(api, [PODS]) as watch:
        until(watch, {"a"})
        fake_server.pods, fake_server.version = {"c": pod("c", 90)}, 90
        changed.set()
        until(watch, {"c", "d"})
    assert fake_server.lists == 2
    assert fake_server.watched_from[1] == "90"


def test_a_server_that_is_away_is_told_and_waited_for(api: KubernetesApi, fake_server: FakeApiServer) -> None:
    gone = threading.Event()
    fake_server.streams = [[gone, "break"]]
    with Watch(api, [PODS]) as watch:
        until(watch, {"a"})
        fake_server.away = True
        gone.set()
        deadline = time.monotonic() + 60
        while not watch.trouble:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        fake_server.streams = [[{"type": "ADDED", "object": pod("b", 2)}, 30]]
        fake_server.away = False
        until(watch, {"a", "b"})
        assert watch.trouble == ""


def test_a_missing_right_ends_the_wait_with_its_name(api: KubernetesApi, fake_server: FakeApiServer) -> None:
    fake_server.forbidden = True
    with Watch(api, [PODS]) as watch, pytest.raises(ForbiddenError, match="may not list pods in namespace n"):
        watch.wait_until_listed(60)


def test_a_kind_that_is_not_served_has_no_objects(api: KubernetesApi) -> None:
    models = Target("kubeai.org/v1", "Model", "n")
    with Watch(api, [models]) as watch:
        watch.wait_until_listed(60)
        assert watch.objects(models) == ()


def test_leaving_ends_its_threads(api: KubernetesApi) -> None:
    before = threading.active_count()
    with Watch(api, [PODS]) as watch:
        watch.wait_until_listed(60)
    deadline = time.monotonic() + 60
    while any(each.name == "watch-Pod" for each in threading.enumerate()):
        assert time.monotonic() < deadline, (before, threading.enumerate())
        time.sleep(0.05)


def test_leaving_in_the_middle_of_what_comes_reads_nothing_that_is_encrypted(
    api: KubernetesApi, fake_server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    changes = [
        {"type": "MODIFIED", "object": pod("a", version) | {"status": "x" * 20_000}} for version in range(500)
    ]
    for _ in range(20):
        fake_server.streams = [changes]
        with Watch(api, [PODS]) as watch:
            watch.wait_until_listed(60)
            assert watch.wait_for_change(watch.version, 60)
    while any(each.name == "watch-Pod" for each in threading.enumerate()):
        time.sleep(0.05)
    assert failed == []


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "ADDED", "object": {"metadata": {}}},
        {"type": "ADDED"},
        {"kind": "Status"},
        ["no object"],
        {"type": "MODIFIED", "object": None},
    ],
)
def test_an_event_that_is_none_is_told_and_the_picture_is_made_anew(
    api: KubernetesApi, fake_server: FakeApiServer, odd: object
) -> None:
    fake_server.streams = [[odd, 30], [{"type": "ADDED", "object": pod("b", 2)}, 30]]
    with Watch(api, [PODS]) as watch:
        until(watch, {"a", "b"})
    assert fake_server.lists == 2


def test_a_list_that_never_is_one_is_told_to_who_waits(
    api: KubernetesApi, fake_server: FakeApiServer
) -> None:
    fake_server.pods = {"a": {"metadata": {}}}
    with (
        Watch(api, [PODS]) as watch,
        pytest.raises(DataPlaneUnreachableError, match="an unexpected answer: KeyError: 'name'"),
    ):
        watch.wait_until_listed(1)


class TestPatience:
    def test_a_call_is_tried_again_until_the_server_is_back(
        self, connection: ApiClient, fake_server: FakeApiServer
    ) -> None:
        api = KubernetesApi(connection, patience_s=60)
        api.kinds()
        fake_server.away, fake_server.back_after = True, 2
        assert len(api.list("v1", "Pod", "n").objects) == 1

    def test_one_that_stays_away_is_named_with_what_was_asked(
        self, api: KubernetesApi, fake_server: FakeApiServer
    ) -> None:
        api.kinds()
        fake_server.away = True
        with pytest.raises(
            DataPlaneUnreachableError, match=r"Pod in n: the API server at .* did not do it in 2 s"
        ):
            api.list("v1", "Pod", "n")

import contextlib
import http.client
import json
import random
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from slipway.records import heartbeats, route_store, routes
from slipway.records.usage import hour_of

HI = [{"role": "user", "content": "hi"}]


class Wire:
    """A TCP relay to the real store that can be cut: what S3 being down looks like to the gateway."""

    def __init__(self, endpoint: str) -> None:
        self._target = (urlsplit(endpoint).hostname, urlsplit(endpoint).port)
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.create_connection(self._target)
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def wire(own_gateway):
    """The gateway's own wire to the store."""
    wire = Wire(own_gateway.store.location.endpoint_url)
    wire.mend()
    own_gateway.environment["SLIPWAY_S3_ENDPOINT"] = wire.url
    yield wire
    wire.cut()


def ask(gateway, *, stream=False) -> str:
    """One request; the id of its event once the answer is complete."""
    body = {"model": "chat", "messages": HI, "stream": stream}
    status, headers, raw = gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])
    assert status == 200, raw
    assert not stream or raw.endswith(b"data: [DONE]\n\n")
    return headers["x-request-id"]


def test_a_gateway_killed_while_requests_flow_loses_none_that_a_client_saw_completed(
    own_gateway, fake, route, eventually
):
    gateway, acknowledged, stop = own_gateway, [], threading.Event()
    gateway.route(route("chat", fake.url))
    gateway.environment["SLIPWAY_USAGE_SHIP_S"] = "0.3"
    gateway.start()

    def tenant(stream: bool) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
                acknowledged.append(ask(gateway, stream=stream))

    with ThreadPoolExecutor(4) as tenants:
        for number in range(4):
            tenants.submit(tenant, number % 2 == 0)
        for count in (20, 40):
            eventually(lambda count=count: len(acknowledged) > count)
            time.sleep(random.uniform(0, 0.5))
            gateway.kill()
            gateway.start()
        eventually(lambda: len(acknowledged) > 60)
        stop.set()
    ids = [event["request_id"] for event in gateway.events()]  # one story per id, or it fails
    assert len(acknowledged) == len(set(acknowledged))
    assert set(acknowledged) <= set(ids)
    assert gateway.status()["spooled_events"] == 0


def test_requests_go_on_while_the_store_is_down_and_their_events_arrive_when_it_is_back(
    own_gateway, wire, fake, route, eventually
):
    own_gateway.environment["SLIPWAY_USAGE_SHIP_S"] = "0.2"
    own_gateway.route(route("chat", fake.url))
    own_gateway.start()
    before = ask(own_gateway)
    eventually(lambda: own_gateway.status()["spooled_events"] == 0)
    wire.cut()
    during = [ask(own_gateway, stream=stream) for stream in (False, True)]
    status, _, raw = own_gateway.raw("/-/ship", b"", secret="operator-token")
    assert (status, json.loads(raw)["error"]["code"]) == (503, "not_shipped")
    assert own_gateway.status()["spooled_events"] == 2
    assert [event["request_id"] for event in own_gateway.stored_events()] == [before]
    wire.mend()
    eventually(lambda: own_gateway.status()["spooled_events"] == 0)
    assert [event["request_id"] for event in own_gateway.stored_events()] == [before, *during]


def test_a_gateway_started_while_the_store_is_down_serves_with_the_last_good_routes(
    own_gateway, wire, fake, route
):
    own_gateway.route(route("chat", fake.url))
    own_gateway.start()
    first = ask(own_gateway)
    own_gateway.kill()
    wire.cut()
    own_gateway.start()
    second = ask(own_gateway)
    wire.mend()
    assert [event["request_id"] for event in own_gateway.events()] == [first, second]


def test_a_stopped_gateway_lets_requests_end_ships_and_leaves_an_empty_spool(
    own_gateway, fake, route, eventually
):
    gateway = own_gateway
    gateway.route(route("chat", fake.url, upstream_model="pauses"))
    gateway.start()
    with ThreadPoolExecutor(1) as client:
        running = client.submit(ask, gateway, stream=True)
        eventually(lambda: gateway.status()["in_flight"])
        stopping = threading.Thread(target=gateway.stop)
        stopping.start()
        eventually(lambda: refuses_connections(gateway))
        fake.release.set()
        acknowledged = running.result(10)
        stopping.join(20)
    assert gateway.process.returncode == 0
    assert [event["request_id"] for event in gateway.stored_events()] == [acknowledged]
    assert list(gateway.home.rglob("*.ndjson")) == []


def test_a_request_that_outlasts_the_drain_is_recorded_as_cut_off(own_gateway, fake, route, eventually):
    gateway = own_gateway
    gateway.environment["SLIPWAY_GATEWAY_DRAIN_S"] = "1"
    gateway.route(route("chat", fake.url, upstream_model="pauses"))
    gateway.start()
    with ThreadPoolExecutor(1) as client:
        running = client.submit(ask, gateway, stream=True)
        eventually(lambda: gateway.status()["in_flight"])
        assert gateway.stop() == 0
        with pytest.raises((OSError, AssertionError, http.client.HTTPException)):
            running.result(10)
    (event,) = gateway.stored_events()
    found = event["status"], event["error_type"], event["output_tokens"]
    assert found == ("server_error", "gateway_shutdown", 3)


@pytest.mark.parametrize("away", ["refuses", "is silent"])
def test_a_gateway_stopped_while_the_store_is_away_tries_on_then_says_what_stays(
    own_gateway, wire, fake, route, eventually, away
):
    gateway = own_gateway
    gateway.environment |= {"SLIPWAY_GATEWAY_DRAIN_S": "1", "SLIPWAY_GATEWAY_STOP_S": "3"}
    gateway.route(route("chat", fake.url))
    gateway.start()
    asked = [ask(gateway), ask(gateway, stream=True)]
    wire.cut()
    silent = (
        socket.create_server(("127.0.0.1", wire.port)) if away == "is silent" else contextlib.nullcontext()
    )
    with silent:
        began = time.monotonic()
        assert gateway.stop() == 3
        took_s = time.monotonic() - began
    assert 1.5 < took_s < 5
    last = json.loads(gateway.log().splitlines()[-1])
    assert (last["level"], last["spooled_events"]) == ("error", 2)
    assert last["spool"] == str(gateway.home / "gateway" / "spool")
    wire.mend()
    gateway.start()
    eventually(lambda: gateway.status()["spooled_events"] == 0)
    assert [event["request_id"] for event in gateway.stored_events()] == asked
    assert gateway.stop() == 0


def test_a_store_that_is_back_before_the_grace_is_over_gets_what_is_spooled(
    own_gateway, wire, fake, route, eventually
):
    gateway = own_gateway
    gateway.environment |= {"SLIPWAY_GATEWAY_DRAIN_S": "1", "SLIPWAY_GATEWAY_STOP_S": "60"}
    gateway.route(route("chat", fake.url))
    gateway.start()
    asked = ask(gateway)
    wire.cut()
    gateway.process.send_signal(signal.SIGTERM)
    eventually(lambda: "the last shipment fails" in gateway.log())
    gateway.process.send_signal(signal.SIGTERM)  # asked again, it goes on
    wire.mend()
    assert gateway.process.wait(30) == 0
    assert [event["request_id"] for event in gateway.stored_events()] == [asked]


def test_a_person_who_interrupts_twice_does_not_wait_for_the_store(
    own_gateway, wire, fake, route, eventually
):
    gateway = own_gateway
    gateway.environment |= {"SLIPWAY_GATEWAY_DRAIN_S": "1", "SLIPWAY_GATEWAY_STOP_S": "60"}
    gateway.route(route("chat", fake.url))
    gateway.start()
    ask(gateway)
    wire.cut()
    gateway.process.send_signal(signal.SIGINT)
    eventually(lambda: "the last shipment fails" in gateway.log())
    gateway.process.send_signal(signal.SIGINT)
    assert gateway.process.wait(20) == 3


def test_shipping_twice_writes_each_event_once(gateway, fake, route):
    gateway.route(route("chat", fake.url))
    gateway.ship()
    asked = [ask(gateway) for _ in range(3)]
    assert gateway.ship()["events"] == 3
    assert gateway.ship() == {"objects": 0, "events": 0}
    assert [event["request_id"] for event in gateway.stored_events()] == asked


def test_an_event_lies_under_the_hour_of_its_id(gateway, fake, route):
    from slipway.records import usage

    gateway.route(route("chat", fake.url))
    asked = ask(gateway)
    hour = usage.hour_of(usage.event_time(asked))
    gateway.ship()
    keys = [stored.key for stored in gateway.store.list(usage.hour_prefix(hour))]
    assert any(f"{usage.hour_prefix(hour)}gateway-0-" in key for key in keys)
    (event,) = gateway.stored_events()
    assert usage.event_time(event["request_id"]).isoformat(timespec="milliseconds") == event["ts"]


def test_two_gateways_do_not_share_a_spool(gateway, own_gateway):
    own_gateway.environment["SLIPWAY_GATEWAY_SPOOL"] = str(gateway.home / "gateway" / "spool")
    with pytest.raises(AssertionError, match="another gateway uses it"):
        own_gateway.start()
    assert own_gateway.process.returncode == 1


def test_a_taken_port_is_named_with_what_to_do(gateway, own_gateway):
    own_gateway.environment["SLIPWAY_GATEWAY_PORT"] = str(gateway.port)
    with pytest.raises(
        AssertionError, match=f"127.0.0.1:{gateway.port}: cannot listen.*SLIPWAY_GATEWAY_PORT"
    ):
        own_gateway.start()
    assert own_gateway.process.returncode == 1


def test_a_bad_route_table_is_refused_and_the_old_one_stays(gateway, fake, route, eventually):
    gateway.route(route("chat", fake.url))
    good = gateway.status()["routes_version"]
    bad_key = route_store.key_of(gateway.status()["routes_number"] + 1)
    document = json.loads(routes.encode(routes.build([route("other", fake.url)])))
    bad_route = {**document["routes"][0], "task": "x"}
    bad_table = json.dumps({**document, "routes": [bad_route]}).encode()
    for bad, named in (
        (b"{ not json", "not JSON"),
        (json.dumps({**document, "schema": 9}).encode(), "schema = 9"),
        (bad_table, "routes[0].task"),
    ):
        gateway.store.put(bad_key, bad)
        eventually(lambda named=named: named in (gateway.status()["routes_refused"] or ""))
        assert gateway.status()["routes_version"] == good
        ask(gateway)
    eventually(lambda: gateway.log().count("route table refused") == 3)
    gateway.store.delete(bad_key)
    gateway.route(route("chat", fake.url, timeout_s=7))
    assert gateway.status()["routes_refused"] is None


def test_a_switch_of_routes_fails_no_request(gateway, fake, route):
    stop, failed = threading.Event(), []

    def tenant() -> None:
        while not stop.is_set():
            try:
                ask(gateway, stream=True)
            except (OSError, AssertionError, http.client.HTTPException) as error:
                failed.append(error)

    gateway.route(route("chat", fake.url))
    with ThreadPoolExecutor(2) as tenants:
        for _ in range(2):
            tenants.submit(tenant)
        for number in range(3):
            gateway.route(route("chat", fake.url, revision=f"{number}" * 64))
        stop.set()
    assert failed == []


def refuses_connections(gateway) -> bool:
    try:
        socket.create_connection(("127.0.0.1", gateway.port), timeout=1).close()
    except OSError:
        return True
    return False


def test_a_gateway_tells_how_many_events_it_recorded_and_of_a_start_that_was_killed_what_it_had_told(
    own_gateway, fake, route, eventually
):
    own_gateway.route(route("chat", fake.url))
    own_gateway.start()
    store = own_gateway.store
    eventually(lambda: list(store.list(heartbeats.PREFIX)))  # at once, of an hour without requests
    ask(own_gateway)
    own_gateway.kill()
    own_gateway.start()
    ids = [ask(own_gateway, stream=stream) for stream in (False, True)]
    own_gateway.raw("/v1/chat/completions", {"model": "nope"}, secret=own_gateway.secrets["acme"])
    own_gateway.stop()
    hours = set(map(hour_of_id, ids))
    told: dict[str, int] = {}
    for beat in heartbeats.read(store, hours):
        told[beat.start] = told.get(beat.start, 0) + beat.recorded
    assert sorted(told.values()) == [0, 3]  # the one that was killed had said nothing of its request


def hour_of_id(request_id: str) -> datetime:
    milliseconds = int(request_id[:8] + request_id[9:13], 16)
    return hour_of(datetime.fromtimestamp(milliseconds / 1000, UTC))

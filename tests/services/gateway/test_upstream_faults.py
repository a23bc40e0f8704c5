import contextlib
import http.client
import json

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipway.stack.ports import free_ports

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def acme(gateway) -> openai.OpenAI:
    return gateway.client("acme")


def nowhere() -> str:
    """A base URL that refuses connections."""
    return f"http://127.0.0.1:{free_ports(1)[0]}/v1"


@pytest.mark.parametrize(
    ("behaviour", "status", "code", "retryable"),
    [
        ("500", 502, "upstream_error", False),
        ("404", 502, "upstream_error", False),
        ("401", 502, "upstream_error", False),
        ("302", 502, "upstream_error", False),
        ("503", 503, "upstream_overloaded", True),
        ("429", 503, "upstream_overloaded", True),
        ("504", 504, "upstream_timeout", False),
        ("not-json", 502, "upstream_error", False),
        ("drops", 502, "upstream_unreachable", False),
    ],
)
def test_an_engines_failure_is_told_in_openais_shape_without_its_details(
    gateway, fake, route, behaviour, status, code, retryable
):
    gateway.route(route("chat", fake.url, upstream_model=behaviour))
    body = {"model": "chat", "messages": HI}
    found, headers, raw = gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])
    assert (found, json.loads(raw)["error"]["code"]) == (status, code)
    assert b"secret detail" not in raw
    assert ("retry-after" in headers) is retryable
    (event,) = gateway.events()
    assert (event["status"], event["error_type"], event["output_tokens"]) == ("server_error", code, 0)


@pytest.mark.parametrize("status", ["400", "422"])
def test_what_an_engine_calls_the_clients_fault_is_the_clients_fault(gateway, fake, route, status):
    gateway.route(route("chat", fake.url, upstream_model=status))
    body = {"model": "chat", "messages": HI}
    found, _, raw = gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])
    assert (str(found), json.loads(raw)["error"]["type"]) == (status, "invalid_request_error")
    assert gateway.events()[0]["status"] == "client_error"


def test_no_server_at_all_is_502_and_is_logged_with_its_cause(gateway, acme, route, eventually):
    gateway.route(route("chat", nowhere()))
    with pytest.raises(openai.InternalServerError) as refused:
        acme.chat.completions.create(model="chat", messages=HI)
    assert (refused.value.status_code, refused.value.code) == (502, "upstream_unreachable")
    eventually(lambda: "ClientConnectorError" in gateway.log())


def test_a_dead_upstream_is_passed_over_for_a_live_one(gateway, acme, fake, route):
    gateway.route(route("chat", nowhere()).model_copy(update={"upstreams": (nowhere(), fake.url)}))
    for _ in range(5):
        assert acme.chat.completions.create(model="chat", messages=HI).usage.total_tokens == 12
    assert {event["attempt"] for event in gateway.events()} == {2}
    assert len(fake.requests) == 5


def test_a_request_is_tried_twice_at_most(gateway, acme, fake, route):
    gateway.route(route("chat", fake.url, upstream_model="drops"))
    with pytest.raises(openai.InternalServerError):
        acme.chat.completions.create(model="chat", messages=HI)
    assert len(fake.requests) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_says_nothing_is_504_after_the_routes_timeout(gateway, acme, fake, route, stream):
    gateway.route(route("chat", fake.url, upstream_model="hangs", timeout_s=0.3))
    with pytest.raises(openai.InternalServerError, match=r"sent nothing for 0.3 s") as refused:
        acme.chat.completions.create(model="chat", messages=HI, stream=stream)
    assert refused.value.status_code == 504
    assert len(fake.requests) == 1


@pytest.mark.parametrize("behaviour", ["dies-midway", "silent-midway"])
def test_a_stream_that_breaks_off_ends_with_an_error_and_is_never_taken_for_complete(
    gateway, acme, fake, route, behaviour
):
    gateway.route(route("chat", fake.url, upstream_model=behaviour, timeout_s=0.5))
    received = []
    with pytest.raises(openai.APIError):
        received += acme.chat.completions.create(model="chat", messages=HI, stream=True)
    (event,) = gateway.events()
    assert (event["status"], event["output_tokens"]) == ("server_error", 3)
    assert gateway.status()["in_flight"] == {}


@pytest.mark.parametrize("events", [0, 3], ids=["before the first token", "after three tokens"])
def test_when_the_client_hangs_up_the_engine_is_stopped_and_what_was_streamed_is_recorded(
    gateway, fake, route, eventually, events
):
    gateway.route(route("chat", fake.url, upstream_model="pauses" if events else "hangs"))
    body = {"model": "chat", "messages": HI, "stream": True}
    with gateway.hanging_up_after(body, events=events):
        eventually(lambda: gateway.status()["in_flight"] == {f"chat/{'d' * 64}": 1})
        eventually(lambda: fake.requests)
    eventually(lambda: fake.hung_up == 1)
    eventually(lambda: gateway.status()["in_flight"] == {})
    (event,) = gateway.events()
    found = event["status"], event["error_type"], event["output_tokens"]
    assert found == ("cancelled", "client_disconnected", events)
    assert (event["ttft_us"] is None) is (events == 0)


def test_a_client_that_hangs_up_without_streaming_stops_the_engine_too(gateway, fake, route, eventually):
    gateway.route(route("chat", fake.url, upstream_model="hangs"))
    with gateway.hanging_up_after({"model": "chat", "messages": HI}, events=0):
        eventually(lambda: fake.requests)
    eventually(lambda: fake.hung_up == 1)
    assert gateway.events()[0]["status"] == "cancelled"


def test_a_real_engine_stops_computing_when_the_client_hangs_up(gateway, engine, route, eventually):
    """llama.cpp says which slots compute."""
    gateway.route(route("chat", f"{engine}/v1"))
    counted = {"ignore_eos": True, "timings_per_token": True}  # the second as slipway.engines asks for it
    body = {"model": "chat", "messages": HI, "stream": True, "max_tokens": 800, **counted}
    with gateway.hanging_up_after(body, events=5):
        assert any(slot["is_processing"] for slot in slots(engine))
    eventually(lambda: not any(slot["is_processing"] for slot in slots(engine)))
    (event,) = gateway.events()
    assert event["status"] == "cancelled"
    assert 3 <= event["output_tokens"] < 800
    assert event["input_tokens"] > len("hi")  # a token has a byte or more, and the template adds its own


def slots(engine: str) -> list[dict]:
    connection = http.client.HTTPConnection(engine.removeprefix("http://"), timeout=90)
    connection.request("GET", "/slots")
    found = json.load(connection.getresponse())
    connection.close()
    return found


def test_in_flight_counts_every_revision_exactly(gateway, acme, fake, route, eventually):
    routed = route("chat", fake.url, upstream_model="hangs")
    gateway.route(routed)
    body = {"model": "chat", "messages": HI, "stream": True}
    with contextlib.ExitStack() as clients:
        for _ in range(3):
            clients.enter_context(gateway.hanging_up_after(body, events=0))
        eventually(lambda: gateway.status()["in_flight"] == {f"chat/{'d' * 64}": 3})
        gateway.route(routed.model_copy(update={"revision": "e" * 64}))
        clients.enter_context(gateway.hanging_up_after(body, events=0))
        both = {f"chat/{'d' * 64}": 3, f"chat/{'e' * 64}": 1}
        eventually(lambda: gateway.status()["in_flight"] == both)
        assert requests_in_flight(gateway) == {("chat", "d" * 8): 3, ("chat", "e" * 8): 1}
        fake.release.set()
        eventually(lambda: gateway.status()["in_flight"] == {})
    assert requests_in_flight(gateway) == {}


def requests_in_flight(gateway) -> dict[tuple[str, str], float]:
    """As Prometheus reads them, under the name by which KEDA asks for them."""
    return {
        (sample.labels["deployment"], sample.labels["revision"]): sample.value
        for family in text_string_to_metric_families(gateway.metrics())
        for sample in family.samples
        if sample.name == "slipway_gateway_requests_in_flight"
    }

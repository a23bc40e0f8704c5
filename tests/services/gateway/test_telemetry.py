"""What a gateway says of itself: metrics on their own port, traces to a collector, a log without words."""

import http.server
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from slipway.gateway.telemetry.traces import MAX_WAITING
from tests.services.gateway.conftest import TOKEN

CHAT = {"messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class FakeCollector(http.server.ThreadingHTTPServer):
    """An OTLP/HTTP receiver that keeps what it is sent; `status` and `delay_s` say how well it does so."""

    daemon_threads = True
    status, delay_s = 200, 0.0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FakeReceiver)
        self.received: list[ExportTraceServiceRequest] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> dict[str, list]:
        """By trace, in the order of their starts."""
        by_trace: dict[str, list] = {}
        for request in self.received:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        by_trace.setdefault(span.trace_id.hex(), []).append(span)
        for spans in by_trace.values():
            spans.sort(key=lambda span: (span.start_time_unix_nano, -span.end_time_unix_nano))
        return by_trace


class FakeReceiver(http.server.BaseHTTPRequestHandler):
    server: FakeCollector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(self.server.delay_s)
        if self.server.status == 200:
            self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    server = FakeCollector()
    yield server
    server.shutdown()
    server.server_close()


def ask(gateway, body, *, path=PATH, secret=None, **headers):
    """(status, headers, body)."""
    request = urllib.request.Request(gateway.url + path, data=json.dumps(body).encode())
    request.add_header("authorization", f"Bearer {secret or gateway.secrets['acme']}")
    for name, value in headers.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, dict(reply.headers), reply.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def values(gateway, name, **labels):
    return [
        sample.value
        for family in text_string_to_metric_families(gateway.metrics())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def test_metrics_have_a_port_of_their_own_and_tenants_do_not_find_them(gateway, fake, route):
    gateway.route(route("of-metrics", fake.url))
    for stream in (False, True):
        assert ask(gateway, {"model": "of-metrics", "stream": stream, **CHAT})[0] == 200
    ask(gateway, {"model": "of-nobody", **CHAT})
    labels = {"deployment": "of-metrics", "org": "acme", "gen_ai_operation_name": "chat"}
    assert values(gateway, "gen_ai_server_request_duration_seconds_count", **labels) == [2]
    assert values(gateway, "gen_ai_server_time_to_first_token_seconds_count", **labels) == [1]
    assert values(gateway, "gen_ai_client_token_usage_count", gen_ai_token_type="input", **labels) == [2]
    assert "of-nobody" not in gateway.metrics()
    not_found = {"error_type": "model_not_found", "org": "acme"}
    assert values(gateway, "gen_ai_server_request_duration_seconds_count", **not_found)[0] >= 1
    for path in ("/metrics", "/-/metrics", "/v1/metrics"):
        for secret in (None, gateway.secrets["acme"], TOKEN):
            status, _, body = gateway.raw(path, secret=secret)
            assert status in {401, 404}
            assert b"gen_ai" not in body
    for path in ("/", "/v1/models", "/-/ship", "/-/status", PATH):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{gateway.metrics_port}{path}", timeout=10)
        assert refused.value.code == 404


def test_a_clients_trace_goes_on_to_the_engine_and_is_in_the_log(gateway, fake, route, eventually):
    gateway.route(route("chat", fake.url))
    parent = f"00-{TRACE}-{SPAN}-01"
    assert ask(gateway, {"model": "chat", **CHAT}, traceparent=parent, tracestate="a=1")[0] == 200
    assert (fake.headers["traceparent"], fake.headers["tracestate"]) == (parent, "a=1")
    eventually(lambda: f'"trace_id":"{TRACE}"' in gateway.log())
    assert ask(gateway, {"model": "chat", **CHAT}, traceparent="nonsense", tracestate="a=1")[0] == 200
    assert not {"traceparent", "tracestate"} & fake.headers.keys()


def test_a_sampled_request_has_spans_at_the_collector(own_gateway, fake, route, collector, eventually):
    gateway = own_gateway
    gateway.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER": "parentbased_always_off",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }  # fmt: skip
    gateway.start()
    gateway.route(route("chat", fake.url), route("500", fake.url))
    sampled, not_sampled = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE[::-1]}-{SPAN}-00"
    assert ask(gateway, {"model": "chat", "stream": True, **CHAT}, traceparent=sampled)[0] == 200
    seen_by_engine = fake.headers["traceparent"].split("-")
    assert ask(gateway, {"model": "chat", **CHAT}, traceparent=not_sampled)[0] == 200
    assert fake.headers["traceparent"].startswith(f"00-{TRACE[::-1]}-")
    assert fake.headers["traceparent"].endswith("-00")
    other = "ab" * 16
    assert ask(gateway, {"model": "500", **CHAT}, traceparent=f"00-{other}-{SPAN}-01")[0] == 502
    eventually(lambda: set(collector.spans()) >= {TRACE, other})
    assert set(collector.spans()) == {TRACE, other}
    request, admission, upstream = collector.spans()[TRACE]
    assert (request.name, admission.name, upstream.name) == (f"POST {PATH}", "admission", "chat chat")
    assert request.parent_span_id.hex() == SPAN
    assert admission.parent_span_id == upstream.parent_span_id == request.span_id
    assert seen_by_engine == ["00", TRACE, upstream.span_id.hex(), "01"]
    assert len({request.span_id, admission.span_id, upstream.span_id}) == 3
    assert request.start_time_unix_nano <= admission.start_time_unix_nano
    assert admission.end_time_unix_nano == upstream.start_time_unix_nano < upstream.end_time_unix_nano
    assert abs(request.start_time_unix_nano / 1e9 - time.time()) < 60
    said = {each.key: each.value for each in (*request.attributes, *upstream.attributes)}
    assert said["gen_ai.operation.name"].string_value == "chat"
    assert said["gen_ai.usage.output_tokens"].int_value > 0
    assert said["org"].string_value == "acme"
    failed, _, _ = collector.spans()[other]
    assert failed.status.code == 2
    resource = {
        each.key: each.value.string_value
        for each in collector.received[0].resource_spans[0].resource.attributes
    }
    assert resource["service.name"] == "slipway-gateway"
    assert resource["deployment.environment.name"] == "test"
    everything = b"".join(each.SerializeToString() for each in collector.received)
    for word in (gateway.secrets["acme"], TOKEN, CHAT["messages"][0]["content"], "secret detail"):
        assert f'"{word}"'.encode() not in everything
        assert len(word) < 5 or word.encode() not in everything


def test_a_collector_that_is_away_or_slow_holds_up_nothing(own_gateway, fake, route, collector, eventually):
    gateway = own_gateway
    collector.status, collector.delay_s = 400, 0.2
    gateway.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER": "always_on",
    }  # fmt: skip
    gateway.start()
    gateway.route(route("chat", fake.url))
    for _ in range(20):
        assert ask(gateway, {"model": "chat", **CHAT})[0] == 200
    eventually(lambda: "sending traces fails" in gateway.log())
    eventually(lambda: values(gateway, "slipway_gateway_traces_dropped_total")[0] > 0)
    assert gateway.raw("/-/ready")[0] == 200
    collector.status, collector.delay_s = 200, 0.0
    assert ask(gateway, {"model": "chat", **CHAT})[0] == 200
    eventually(lambda: collector.received)
    collector.delay_s = 60.0
    ask(gateway, {"model": "chat", **CHAT})
    began = time.monotonic()
    assert gateway.stop(30) == 0
    assert time.monotonic() - began < 8
    assert MAX_WAITING < 10_000  # what waits is bounded


WORDS = ("the-word-of-a-client", "the-word-of-an-engine", "secret detail of the engine")


def test_no_prompt_answer_or_secret_is_in_the_log_whatever_is_sent(gateway, fake, route, eventually):
    """Requests of every kind, right and wrong, with words in every place; none of them is in the log."""
    chance = random.Random(20_26)
    word, secret = WORDS[0], gateway.secrets["acme"]
    models = ("chat", "500", "503", "404", "refuses", "not-json", "drops", "dies-midway", "missing")
    gateway.route(*(route(model, fake.url) for model in models[:-1]))
    bodies = [
        {"model": "M", "messages": [{"role": "user", "content": word}]},
        {"model": "M", "messages": [{"role": "user", "content": [{"type": "text", "text": word}]}]},
        {"model": "M", "messages": word},
        {"model": "M", "messages": [{"role": 5, "content": word}]},
        {"model": "M", "messages": [{"role": "user", "content": "x"}], "max_tokens": word},
        {"model": "M", "messages": [{"role": "user", "content": "x"}], "stream_options": word},
        {"model": "M", "prompt": [word, word], "user": word, "metadata": {word: word}},
        {"model": "M", "messages": [{"role": "user", "content": "\ud800" + word}]},
        {"prompt": word},
    ]
    paths = (PATH, "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages")
    for number in range(200):
        body = dict(chance.choice(bodies))
        if "model" in body:
            body["model"] = chance.choice(models)
        body["stream"] = chance.random() < 0.5
        raw = json.dumps(body).encode()
        if chance.random() < 0.2:
            raw = raw[: chance.randrange(len(raw))]
        key = secret if number % 10 else f"sk-slipway-{word}"
        gateway.raw(chance.choice(paths), raw, secret=key)
    gateway.raw(f"/v1/models/{secret}", secret=secret)
    gateway.raw(f"/v1/models?key={word}", secret=secret)
    ask(gateway, {"model": secret, **CHAT})
    ask(gateway, {"model": "chat", **CHAT}, tracestate=f"a={word}", traceparent=f"00-{word}", cookie=word)
    gateway.raw("/v1/the-end", secret=secret)
    eventually(lambda: "/v1/the-end" in gateway.log())
    log = gateway.log()
    assert log.count('"message":"request"') > 50
    assert '"status":"server_error"' in log
    for hidden in (*WORDS, secret, secret[len("sk-slipway-") :], TOKEN, gateway.store.location.secret_key):
        assert hidden not in log

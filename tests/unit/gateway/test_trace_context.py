import pytest

from slipway.environment import Environment
from slipway.gateway.settings import GatewaySettings, SettingError
from slipway.gateway.telemetry import trace_context
from slipway.gateway.telemetry.trace_context import MAX_STATE_BYTES, Sampling

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def headers(*parents, states=()):
    return [
        (b"host", b"x"),
        *((b"traceparent", each.encode()) for each in parents),
        (b"authorization", b"Bearer x"),
        *((b"tracestate", each.encode()) for each in states),
    ]


def test_without_a_collector_a_clients_trace_goes_on_as_it_is():
    trace = trace_context.begun(headers(PARENT, states=("a=1", "b=2")), None)
    assert trace.headers() == {"traceparent": PARENT, "tracestate": "a=1,b=2"}
    assert (trace.written_id, trace.is_sampled) == (TRACE, False)
    assert trace_context.begun(headers(), None) is None


@pytest.mark.parametrize(
    "said",
    [
        (),
        ("",),
        (PARENT, PARENT),
        (PARENT.upper(),),
        (f"ff-{TRACE}-{SPAN}-01",),
        (f"{PARENT}-more",),
        (f"00-{TRACE}-{SPAN}",),
        (f"00-{'0' * 32}-{SPAN}-01",),
        (f"00-{TRACE}-{'0' * 16}-01",),
        (f"00-{TRACE}-{SPAN}-01\nx: y",),
        ("x" * 10_000,),
    ],
)
def test_what_is_no_trace_context_begins_a_trace_of_its_own(said):
    assert trace_context.begun(headers(*said, states=("a=1",)), None) is None
    trace = trace_context.begun(headers(*said, states=("a=1",)), Sampling(1.0, parent_decides=True))
    assert trace.written_id != TRACE
    assert (trace.parent, trace.state, trace.is_sampled) == (0, "", True)


def test_a_later_version_is_understood_as_far_as_the_first_goes():
    trace = trace_context.begun(headers(f"01-{TRACE}-{SPAN}-01-more"), None)
    assert trace.headers() == {"traceparent": PARENT}


@pytest.mark.parametrize("state", ["a" * (MAX_STATE_BYTES + 1), "a=\x7f", "a=é"])
def test_a_state_that_cannot_be_passed_on_is_left_out(state):
    trace = trace_context.begun(headers(PARENT, states=(state,)), None)
    assert trace.headers() == {"traceparent": PARENT}


def test_with_a_collector_the_engine_is_called_by_a_span_of_the_clients_trace():
    trace = trace_context.begun(headers(PARENT, states=("a=1",)), Sampling(0.0, parent_decides=True))
    assert (trace.written_id, f"{trace.parent:016x}", trace.is_sampled) == (TRACE, SPAN, True)
    version, trace_id, span, flags = trace.headers()["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert int(span, 16) == trace.upstream not in {trace.parent, trace.span, 0}
    assert trace.headers()["tracestate"] == "a=1"


@pytest.mark.parametrize(
    ("sampling", "flags", "sampled"),
    [
        (Sampling(0.0, parent_decides=True), "01", True),
        (Sampling(1.0, parent_decides=True), "00", False),
        (Sampling(0.0, parent_decides=False), "01", False),
        (Sampling(1.0, parent_decides=False), "00", True),
    ],
)
def test_a_parents_decision_counts_where_the_sampler_says_so(sampling, flags, sampled):
    trace = trace_context.begun(headers(f"00-{TRACE}-{SPAN}-{flags}"), sampling)
    assert trace.is_sampled is sampled
    assert trace.headers()["traceparent"].endswith("-01" if sampled else "-00")


def test_a_ratio_takes_about_so_many_and_each_trace_always_alike():
    sampling = Sampling(0.25, parent_decides=True)
    traces = [trace_context.begun([], sampling) for _ in range(4_000)]
    assert 0.2 < sum(trace.is_sampled for trace in traces) / len(traces) < 0.3
    assert all(sampling.takes(trace.trace_id, None) is trace.is_sampled for trace in traces)


def settings(tmp_path, **more):
    base = {
        "SLIPWAY_HOME": str(tmp_path), "SLIPWAY_GATEWAY_TOKEN": "t", "SLIPWAY_S3_ENDPOINT": "http://s3",
        "SLIPWAY_S3_BUCKET": "b", "SLIPWAY_S3_ACCESS_KEY": "a", "SLIPWAY_S3_SECRET_KEY": "s",
    }  # fmt: skip
    return GatewaySettings.load(Environment.load({**base, **more}))


COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("more", "sampling"),
    [
        ({}, None),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, None),
        (COLLECTOR, Sampling(0.05, parent_decides=True)),
        ({**COLLECTOR, "OTEL_SDK_DISABLED": "True"}, None),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/v1/traces"}, Sampling(0.05, parent_decides=True)),
        ({**COLLECTOR, "OTEL_TRACES_SAMPLER": "always_off"}, Sampling(0.0, parent_decides=False)),
        (
            {**COLLECTOR, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
            Sampling(0.5, parent_decides=False),
        ),
        ({**COLLECTOR, "OTEL_TRACES_SAMPLER": "parentbased_always_on"}, Sampling(1.0, parent_decides=True)),
    ],
)
def test_opentelemetrys_own_variables_say_which_requests_have_spans(tmp_path, more, sampling):
    assert settings(tmp_path, **more).sampling == sampling


@pytest.mark.parametrize(
    "wrong",
    [
        {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
        {"OTEL_TRACES_SAMPLER_ARG": "two"},
        {"OTEL_TRACES_SAMPLER_ARG": "1.5"},
        {"OTEL_TRACES_SAMPLER_ARG": "nan"},
    ],
)
def test_a_sampler_that_is_not_known_is_refused_with_its_name(tmp_path, wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(SettingError, match=f"{name} = '{value}'"):
        settings(tmp_path, **COLLECTOR, **wrong)


@pytest.mark.parametrize("port", ["0", "-1", "65536", "http"])
def test_a_port_for_metrics_that_is_none_is_refused(tmp_path, port):
    assert settings(tmp_path).metrics_port is None
    assert settings(tmp_path, SLIPWAY_GATEWAY_METRICS_PORT="9464").metrics_port == 9464
    with pytest.raises(SettingError, match="SLIPWAY_GATEWAY_METRICS_PORT"):
        settings(tmp_path, SLIPWAY_GATEWAY_METRICS_PORT=port)

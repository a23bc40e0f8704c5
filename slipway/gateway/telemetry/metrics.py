"""Live metrics of one replica, in Prometheus' text format.

Belongs here: the text, and names and labels of what is a number right now.
Does not: what requests took (request_metrics.py), who may read it (slipway.gateway.monitoring), hours and
bills (slipway.metering). KEDA scales revisions by `slipway_gateway_requests_in_flight`
(slipway.runtimes.rendering.scaling).
Format: https://prometheus.io/docs/instrumenting/exposition_formats/
OpenTelemetry's names as Prometheus spells them: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from slipway.gateway.telemetry import request_metrics
from slipway.gateway.telemetry.request_metrics import Histogram, Labels, RequestMetrics

CONTENT_TYPE = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
IN_FLIGHT = "slipway_gateway_requests_in_flight"
PROVIDER = "slipway"
# Of a spec digest, as in the names of a revision's objects.
_REVISION_DIGITS = 8
# (name in Prometheus, help) of each of request_metrics' names.
_FAMILIES = {
    request_metrics.DURATION: (
        "gen_ai_server_request_duration_seconds",
        "From a request's headers to the end of its answer.",
    ),
    request_metrics.FIRST_TOKEN: (
        "gen_ai_server_time_to_first_token_seconds",
        "From a streamed request's headers to the first text of its answer.",
    ),
    request_metrics.PER_TOKEN: (
        "gen_ai_server_time_per_output_token_seconds",
        "Time per output token after the first, of a streamed answer that succeeded.",
    ),
    request_metrics.TOKENS: ("gen_ai_client_token_usage", "Input and output tokens per request."),
}


@dataclass(frozen=True, slots=True)
class Now:
    """Numbers of this moment: `in_flight` by `<deployment>/<spec_digest>`, events that are not shipped, how
    long ago each background job last succeeded, and what nobody took: lines of the log, requests' spans.
    """

    in_flight: Mapping[str, int]
    spooled_events: int
    job_ages_s: Mapping[str, float]
    dropped_lines: int
    dropped_traces: int


def exposition(now: Now, requests: RequestMetrics) -> bytes:
    """The metrics as Prometheus reads them. Any thread may ask while requests go on."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Numbers(now, dict(requests.refused)))
    return generate_latest(registry) + "".join(_histograms(requests)).encode()


def _histograms(requests: RequestMetrics) -> Iterator[str]:
    for name, series in itertools.groupby(requests.series(), key=lambda each: each[0]):
        family, described = _FAMILIES[name]
        yield f"# HELP {family} {described}\n# TYPE {family} histogram\n"
        bounds = [*map(_number, request_metrics.BOUNDS[name]), "+Inf"]
        for _, labels, histogram in series:
            yield _histogram(family, _written(labels), bounds, histogram)


def _histogram(family: str, labels: str, bounds: list[str], histogram: Histogram) -> str:
    """One series. Its counts are copied at once: they go on while this is written."""
    total = histogram.sum
    counts = list(itertools.accumulate(list(histogram.counts)))
    lines = [
        f'{family}_bucket{{{labels},le="{bound}"}} {count}\n'
        for bound, count in zip(bounds, counts, strict=True)
    ]
    lines.append(f"{family}_sum{{{labels}}} {total!r}\n{family}_count{{{labels}}} {counts[-1]}\n")
    return "".join(lines)


def _written(labels: Labels) -> str:
    served = labels.served
    named = {
        "gen_ai_operation_name": served.operation,
        "gen_ai_provider_name": PROVIDER,
        "gen_ai_request_model": served.model,
        "deployment": served.deployment,
        "org": served.org,
        "gen_ai_token_type": labels.token_type,
        "error_type": labels.error_type,
    }
    # An empty label is none to Prometheus.
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in named.items() if value)


def _escaped(value: str) -> str:
    text = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return text.encode(errors="replace").decode()  # half a surrogate pair is no text


def _number(bound: float) -> str:
    return f"{bound:g}" if bound < 1e6 else f"{bound:.1f}"


class _Numbers(Collector):
    def __init__(self, now: Now, refused: Mapping[str, int]) -> None:
        self._now = now
        self._refused = refused

    def collect(self) -> Iterator[Metric]:
        """One sample per revision with requests, per job and per reason; the spool's and what was dropped."""
        now = self._now
        requests = GaugeMetricFamily(
            IN_FLIGHT, "Requests of tenants that are not answered yet.", labels=["deployment", "revision"]
        )
        for serving, count in sorted(now.in_flight.items()):
            deployment, _, spec_digest = serving.partition("/")
            requests.add_metric([deployment, spec_digest[:_REVISION_DIGITS]], count)
        yield requests
        refused = CounterMetricFamily(
            "slipway_gateway_requests_refused",
            "Requests that were refused before it was known for which model they are.",
            labels=["error_type"],
        )
        for code, count in sorted(self._refused.items()):
            refused.add_metric([code], count)
        yield refused
        yield GaugeMetricFamily(
            "slipway_gateway_usage_events_spooled",
            "Usage events that are recorded here and not shipped yet.",
            value=now.spooled_events,
        )
        ages = GaugeMetricFamily(
            "slipway_gateway_job_age_seconds",
            "Since a background job last succeeded; before its first success, since the start.",
            labels=["job"],
        )
        for job, age_s in sorted(now.job_ages_s.items()):
            ages.add_metric([job], age_s)
        yield ages
        yield CounterMetricFamily(
            "slipway_gateway_log_lines_dropped",
            "Log lines that were dropped because nobody read them.",
            value=now.dropped_lines,
        )
        yield CounterMetricFamily(
            "slipway_gateway_traces_dropped",
            "Sampled requests whose spans no collector took.",
            value=now.dropped_traces,
        )

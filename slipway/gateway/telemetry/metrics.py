"""Live metrics of one replica, in Prometheus' text format.

Belongs here: what is measured, its names and labels.
Does not: who may read it (slipway.gateway.operator), hours and bills (slipway.metering). KEDA scales
revisions by `slipway_gateway_requests_in_flight` (slipway.runtimes.rendering.scaling).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
IN_FLIGHT = "slipway_gateway_requests_in_flight"
# Of a spec digest, as in the names of a revision's objects.
_REVISION_DIGITS = 8


def exposition(
    in_flight: Mapping[str, int], spooled_events: int, job_ages_s: Mapping[str, float], dropped_lines: int
) -> bytes:
    """The metrics, from requests in flight by `<deployment>/<spec_digest>`, events that are not shipped, how
    long ago each background job last succeeded, and log lines that nobody read.

    https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now(in_flight, spooled_events, job_ages_s, dropped_lines))
    return generate_latest(registry)


class _Now(Collector):
    def __init__(
        self,
        in_flight: Mapping[str, int],
        spooled_events: int,
        job_ages_s: Mapping[str, float],
        dropped_lines: int,
    ) -> None:
        self._in_flight = in_flight
        self._spooled_events = spooled_events
        self._job_ages_s = job_ages_s
        self._dropped_lines = dropped_lines

    def collect(self) -> Iterator[Metric]:
        """One sample per revision with requests and per job, the spool's and the log's."""
        requests = GaugeMetricFamily(
            IN_FLIGHT, "Requests of tenants that are not answered yet.", labels=["deployment", "revision"]
        )
        for serving, count in sorted(self._in_flight.items()):
            deployment, _, spec_digest = serving.partition("/")
            requests.add_metric([deployment, spec_digest[:_REVISION_DIGITS]], count)
        yield requests
        yield GaugeMetricFamily(
            "slipway_gateway_usage_events_spooled",
            "Usage events that are recorded here and not shipped yet.",
            value=self._spooled_events,
        )
        ages = GaugeMetricFamily(
            "slipway_gateway_job_age_seconds",
            "Since a background job last succeeded; before its first success, since the start.",
            labels=["job"],
        )
        for job, age_s in sorted(self._job_ages_s.items()):
            ages.add_metric([job], age_s)
        yield ages
        yield CounterMetricFamily(
            "slipway_gateway_log_lines_dropped",
            "Log lines that were dropped because nobody read them.",
            value=self._dropped_lines,
        )

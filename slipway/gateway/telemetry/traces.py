"""Spans of sampled requests, sent to an OpenTelemetry collector by a background thread.

Belongs here: what waits to be sent, what a span says, sending. Does not: which requests are sampled
(trace_context.py), when it is sent (slipway.gateway.server, by a Periodic).
Never in a span: bodies, secrets, API keys (their ids are).
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/

A request costs its own thread a record in a queue; spans are made of it by the one that sends, which alone
imports OpenTelemetry's packages, and only where there is a collector. The exporter takes its settings
(OTEL_EXPORTER_OTLP_*, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME) from the environment.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.gateway.telemetry.request_metrics import operation_of
from slipway.gateway.telemetry.trace_context import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

INTERVAL_S = 1.0
# Requests that wait for a collector which is away or slow; then the oldest go. Some 4 MiB.
MAX_WAITING = 2_048
_BATCH = 128
_SERVICE = "slipway-gateway"
_PROVIDER = "slipway"


class TracesNotTakenError(Exception):
    """The collector is away, or refuses: what was sent to it is lost."""


@dataclass(frozen=True, slots=True)
class Traced:
    """One sampled request that has ended. Times are nanoseconds since 1970; 0: it did not get that far."""

    trace: Trace
    path: str
    request_id: str
    org: str
    user: str
    api_key: str
    model: str
    deployment: str
    http_status: int | None
    error_type: str | None
    stream: bool
    attempt: int
    tokens: tuple[int, int, int]  # input, of them cached, output
    started_ns: int
    admission_ns: int
    upstream_ns: int
    first_token_ns: int
    ended_ns: int


class Traces:
    """What one replica sends. `put` is the event loop's, `send` of one other thread."""

    def __init__(self, replica: str) -> None:
        self._replica = replica
        self._waiting: deque[Traced] = deque()
        self._exporter: Any = None
        self._resource: Resource | None = None
        self._lost = 0  # sent, and not taken
        self._pushed_out = 0

    @property
    def dropped(self) -> int:
        """Requests whose spans nobody took."""
        return self._lost + self._pushed_out

    def put(self, traced: Traced) -> None:
        """Have a request's spans sent soon, if there is a collector that takes them."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._pushed_out += 1
        self._waiting.append(traced)

    def send(self) -> None:
        """Send what waits. Raises TracesNotTakenError; what is not taken is not tried again."""
        while self._waiting:
            batch = self._taken()
            try:
                taken = self._export(batch)
            except Exception as error:
                self._lost += len(batch)
                raise TracesNotTakenError(f"{type(error).__name__}: {error}") from error
            if not taken:
                self._lost += len(batch)
                raise TracesNotTakenError("the collector named by OTEL_EXPORTER_OTLP_ENDPOINT takes none")

    def _taken(self) -> list[Traced]:
        batch: list[Traced] = []
        while self._waiting and len(batch) < _BATCH:
            try:
                batch.append(self._waiting.popleft())
            except IndexError:  # pushed out meanwhile
                break
        return batch

    def _export(self, batch: list[Traced]) -> bool:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace.export import SpanExportResult

        if self._exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            # Its own words for a collector that is away are told once, as this job's reason.
            logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
            ours = Resource({"service.name": _SERVICE, "service.instance.id": self._replica})
            self._resource = ours.merge(OTELResourceDetector().detect())
            self._exporter = OTLPSpanExporter()
        assert self._resource is not None
        spans = [span for traced in batch for span in _spans(traced, self._resource)]
        return bool(self._exporter.export(spans) is SpanExportResult.SUCCESS)


def wall_clock() -> int:
    """Nanoseconds since 1970 at the zero of the monotonic clock that requests are timed by."""
    return time.time_ns() - time.perf_counter_ns()


def _spans(traced: Traced, resource: Resource) -> list[ReadableSpan]:
    """The request as its server saw it; within it admission, and the call of the engine."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanKind, Status, StatusCode

    trace = traced.trace
    own = _context(trace, trace.span)
    parent = _context(trace, trace.parent, is_remote=True) if trace.parent else None
    failed = Status(StatusCode.ERROR) if (traced.http_status or 500) >= 500 else Status(StatusCode.UNSET)
    made = [
        ReadableSpan(
            f"POST {traced.path}", own, parent, resource, _of_request(traced), kind=SpanKind.SERVER,
            status=failed, start_time=traced.started_ns, end_time=traced.ended_ns,
        )
    ]  # fmt: skip
    if traced.admission_ns:
        made.append(
            ReadableSpan(
                "admission", _context(trace, trace.upstream ^ trace.span or 1), own, resource,
                start_time=traced.admission_ns, end_time=traced.upstream_ns or traced.ended_ns,
            )
        )  # fmt: skip
    if traced.upstream_ns:
        made.append(
            ReadableSpan(
                f"{operation_of(traced.path)} {traced.model}", _context(trace, trace.upstream), own, resource,
                _of_upstream(traced), kind=SpanKind.CLIENT, status=failed,
                start_time=traced.upstream_ns, end_time=traced.ended_ns,
            )
        )  # fmt: skip
    return made


def _context(trace: Trace, span: int, *, is_remote: bool = False) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags, TraceState

    state = TraceState.from_header([trace.state]) if trace.state else None
    return SpanContext(trace.trace_id, span, is_remote, TraceFlags(trace.flags), state)


def _of_request(traced: Traced) -> dict[str, str | int | float]:
    given: dict[str, str | int | float | None] = {
        "http.request.method": "POST",
        "http.route": traced.path,
        "http.response.status_code": traced.http_status,
        "error.type": traced.error_type,
        "request_id": traced.request_id,
        "org": traced.org,
        "user": traced.user,
        "api_key": traced.api_key,
    }
    return {name: value for name, value in given.items() if value is not None}


def _of_upstream(traced: Traced) -> dict[str, str | int | float]:
    input_tokens, cached_tokens, output_tokens = traced.tokens
    given: dict[str, str | int | float | None] = {
        "gen_ai.operation.name": operation_of(traced.path),
        "gen_ai.provider.name": _PROVIDER,
        "gen_ai.request.model": traced.model,
        "gen_ai.request.stream": traced.stream,
        "gen_ai.usage.input_tokens": input_tokens,
        "gen_ai.usage.cache_read.input_tokens": cached_tokens,
        "gen_ai.usage.output_tokens": output_tokens,
        "gen_ai.response.time_to_first_chunk": (traced.first_token_ns - traced.upstream_ns) / 1e9
        if traced.first_token_ns
        else None,
        "error.type": traced.error_type,
        "deployment": traced.deployment,
        "attempt": traced.attempt,
    }
    return {name: value for name, value in given.items() if value is not None}

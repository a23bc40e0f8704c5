"""The last stage: what became of a request goes to the spool, and what it was goes to the log.

Belongs here: the usage event of an ended request, its line, values and spans for who watches the replica, and
the status that an error is recorded with.
Does not: the event (slipway.gateway.usage.call), the spool (slipway.gateway.usage.spool).
"""

from __future__ import annotations

import time

from slipway.gateway.api import errors
from slipway.gateway.api.errors import ApiError, UpstreamError
from slipway.gateway.telemetry import log
from slipway.gateway.telemetry.request_metrics import RequestMetrics
from slipway.gateway.telemetry.trace_context import Trace
from slipway.gateway.telemetry.traces import Traced, Traces, wall_clock
from slipway.gateway.usage.call import Call
from slipway.gateway.usage.heart import Heart
from slipway.gateway.usage.pace import Paces
from slipway.gateway.usage.saver import Saver
from slipway.gateway.usage.spool import Room, Spool, SpoolError
from slipway.records.usage import Status


class Recorder:
    """Writes the usage events of one replica."""

    def __init__(
        self,
        replica: str,
        spool: Spool,
        *,
        metrics: RequestMetrics | None = None,
        traces: Traces | None = None,
        heart: Heart | None = None,
    ) -> None:
        self._heart = heart
        self._replica = replica
        self._metrics = metrics
        self._traces = traces
        self._spool = spool
        self._saver = Saver(replica)
        self._paces = Paces()

    def open(self, call: Call) -> Room:
        """Room for the event of a request that is to be served. Raises ApiError when there is none.

        What comes of it is kept as it goes, if it is a stream. Close it, whatever becomes of the request.
        """
        try:
            room = self._spool.reserve()
        except SpoolError as error:
            raise _not_recorded(call, error) from error
        call.paces = self._paces
        if call.stream:
            self._saver.add(room, call)
        return room

    def record(self, call: Call, room: Room | None) -> None:
        """Spool the event of an ended request. Raises ApiError when it cannot be: not with room for it."""
        line = call.event(self._replica).encode()
        try:
            if room is None:
                self._spool.append(line)
            else:
                self._saver.remove(room)
                room.record(line)
        except SpoolError as error:
            raise _not_recorded(call, error) from error
        if self._heart is not None:
            self._heart.count(call.request_id)

    def close(self, room: Room) -> None:
        """The request is over; harmless after `record`."""
        self._saver.remove(room)
        room.let_go()

    def tell(self, call: Call) -> None:
        """The request's line in the log, its values, and its spans if it is sampled. Nothing of it fails."""
        log.write("info", "request", **call.log_fields())
        try:
            if self._metrics is not None:
                _observe(self._metrics, call)
            if self._traces is not None and call.trace is not None and call.trace.is_sampled:
                self._traces.put(_traced(call, call.trace))
        except Exception as fault:  # noqa: BLE001 - the request has been answered
            log_fault(call, fault)


def _not_recorded(call: Call, error: SpoolError) -> ApiError:
    log.write("error", "usage not recorded", request_id=call.request_id, error=str(error))
    return errors.not_recorded()


def status_of(error: ApiError) -> Status:
    """How a request that ended with this error is recorded."""
    if error.status == 429:
        return "limited"
    return "server_error" if error.status >= 500 else "client_error"


def log_upstream_failure(call: Call, error: UpstreamError) -> None:
    """What the operator should know of an engine that failed, and the client does not read."""
    log.write(
        "warning", "upstream failed", request_id=call.request_id,
        model=call.model, deployment=call.deployment, cause=error.cause,
    )  # fmt: skip


def log_fault(call: Call, fault: BaseException) -> None:
    """What nobody expected, for whoever mends it: where, not its words, which may be a client's."""
    log.write(
        "error", "a fault of the gateway", request_id=call.request_id, path=call.path,
        error=type(fault).__name__, traceback=log.frames_of(fault),
    )  # fmt: skip


def _observe(metrics: RequestMetrics, call: Call) -> None:
    """The request's values. A model that its caller may not know is the caller's own word, and no label."""
    ended = call.ended
    if ended is None:
        return
    input_tokens, _, output_tokens = call.usage.totals()
    first, per_token_s = call.first_token, None
    if first is not None and call.last_token is not None and output_tokens > 1 and call.status == "success":
        per_token_s = (call.last_token - first) / (output_tokens - 1)
    metrics.observe(
        call.path,
        call.model if call.deployment else "",
        call.deployment,
        call.key.org,
        call.error_type,
        ended - call.started,
        None if first is None else first - call.started,
        per_token_s,
        input_tokens,
        output_tokens,
    )


def _traced(call: Call, trace: Trace) -> Traced:
    zero_ns = wall_clock()

    def instant(moment: float | None) -> int:
        return 0 if moment is None else zero_ns + round(moment * 1e9)

    return Traced(
        trace=trace,
        path=call.path,
        request_id=call.request_id,
        org=call.key.org,
        user=call.key.user,
        api_key=call.key.id,
        model=call.model if call.deployment else "",
        deployment=call.deployment,
        http_status=call.http_status,
        error_type=call.error_type,
        stream=call.stream,
        attempt=call.attempt,
        tokens=call.usage.totals(),
        started_ns=instant(call.started),
        admission_ns=instant(call.admission_began),
        upstream_ns=instant(call.upstream_began),
        first_token_ns=instant(call.first_token),
        ended_ns=instant(call.ended or time.perf_counter()),
    )

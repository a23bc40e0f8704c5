"""One tenant request as it goes: who, what, how it ended, how long it took. It becomes the usage event.

Belongs here: the facts of one request and how they are measured; what counts where its engine did not.
Does not: what happens in it (slipway.gateway.request), keeping the event (spool.py).

Tokens are the engine's count. Where it said none (its client hung up, or it counts nothing): the prompt's
bound, and of the answer the pieces that were streamed or, of one in one piece, what the request allowed and
its time. What never reached an engine, and what failed before its client had any of it, is nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from slipway.catalog.fields import Task
from slipway.gateway.api.usage_count import UsageCount
from slipway.gateway.telemetry.trace_context import Trace
from slipway.gateway.usage.pace import Paces
from slipway.records.usage import NO_UNITS, CountedBy, Status, Units, UsageEvent, event_time, new_request_id
from slipway.tenants.database import KeyRecord

# Engines' own words are no longer than this in events.
_MAX_ERROR_TYPE = 64


@dataclass(frozen=True, slots=True)
class Most:
    """Tokens that a request can have used at most: of its prompt, of its answers (None: as many as come)."""

    prompt: int
    output: int | None


@dataclass(slots=True)
class Call:
    """Times are of the monotonic clock, in seconds; `started` is when the request's headers were in."""

    key: KeyRecord
    path: str
    started: float
    request_id: str = field(default_factory=new_request_id)
    model: str = ""
    deployment: str = ""
    task: Task = "text-generation"
    stream: bool = False
    attempt: int = 1
    usage: UsageCount = field(default_factory=UsageCount)
    units: Units = NO_UNITS  # what it used besides tokens; its operation replaces it
    units_by: CountedBy | None = None  # where it is billed in units: by what these are counted
    status: Status | None = None
    error_type: str | None = None
    http_status: int | None = None
    disconnected: bool = False
    first_token: float | None = None
    last_token: float | None = None
    max_gap_s: float | None = None
    ended: float | None = None
    paces: Paces | None = None
    most: Callable[[], Most] | None = None
    handed_over: float | None = None  # when the whole request had gone to an engine
    trace: Trace | None = None
    admission_began: float | None = None
    upstream_began: float | None = None

    def note_token(self) -> None:
        """Text was forwarded just now."""
        now = time.perf_counter()
        if self.last_token is None:
            self.first_token = now
        else:
            self.max_gap_s = max(self.max_gap_s or 0.0, now - self.last_token)
        self.last_token = now

    def hand_over(self) -> None:
        """All of the request is on its way to an engine, which works for it from now on."""
        self.handed_over = time.perf_counter()

    def end(self, status: Status, error_type: str | None) -> None:
        """The request's fate is known."""
        self.status = status
        self.error_type = None if error_type is None else error_type[:_MAX_ERROR_TYPE]
        self.ended = time.perf_counter()
        self._complete_usage(status, self.ended)

    def event(self, replica: str) -> UsageEvent:
        """The usage event of an ended request."""
        assert self.status is not None
        assert self.ended is not None
        return self._event(replica, self.status, self.error_type, self.ended)

    def event_if_killed(self, replica: str) -> UsageEvent:
        """The usage event of a request that is under way, should nothing more be heard of it."""
        return self._event(replica, "server_error", "gateway_killed", time.perf_counter())

    def _complete_usage(self, status: Status, ended: float) -> None:
        """Let stand in for the engine's count what must, now that nothing more comes."""
        if status in {"success", "cancelled"}:
            if self.handed_over is None:
                self._used_nothing()
            elif not self.usage.is_said and self.most is not None:
                most = self.most()
                self.usage.bound(most.prompt, 0 if self.stream else self._most_output(most, ended))
            elif self.usage.is_said and status == "success" and self.paces is not None:
                self.paces.note(self.deployment, self.usage.totals()[2], ended - self.handed_over)
        elif self.first_token is None:
            self._used_nothing()

    def _used_nothing(self) -> None:
        self.usage.nothing()
        self.units, self.units_by = NO_UNITS, None

    def _most_output(self, most: Most, ended: float) -> int:
        """Tokens of an answer in one piece, none of which was counted, at most."""
        assert self.handed_over is not None
        paces = self.paces or Paces()
        bounds = (
            paces.most(self.deployment, ended - self.handed_over),
            most.output,
            self.usage.text_bytes,  # where the answer came
        )
        return min(bound for bound in bounds if bound is not None)

    def _event(self, replica: str, status: Status, error_type: str | None, ended: float) -> UsageEvent:
        input_tokens, cached_tokens, output_tokens = self.usage.totals()
        return UsageEvent(
            request_id=self.request_id,
            ts=event_time(self.request_id).isoformat(timespec="milliseconds"),
            org=self.key.org,
            user=self.key.user,
            api_key=self.key.id,
            model=self.model,
            deployment=self.deployment,
            replica=replica,
            task=self.task,
            stream=self.stream,
            input_tokens=input_tokens,
            cached_tokens=cached_tokens,
            output_tokens=output_tokens,
            status=status,
            error_type=error_type,
            ttft_us=self._since_start_us(self.first_token) if self.stream else None,
            duration_us=self._since_start_us(ended) or 0,
            max_gap_us=None if self.max_gap_s is None else round(self.max_gap_s * 1e6),
            cold_start=False,
            attempt=self.attempt,
            counted_by=self.units_by or self.usage.counted_by,
            input_audio_ms=self.units.input_audio_ms,
            output_audio_ms=self.units.output_audio_ms,
            characters=self.units.characters,
            documents=self.units.documents,
            searches=self.units.searches,
        )

    def log_fields(self) -> dict[str, object]:
        """What the access log says of it."""
        input_tokens, cached_tokens, output_tokens = self.usage.totals()
        return {
            "request_id": self.request_id,
            "path": self.path,
            "http_status": self.http_status,
            "status": self.status,
            "error_type": self.error_type,
            "org": self.key.org,
            "user": self.key.user,
            "api_key": self.key.id,
            "model": self.model,
            "deployment": self.deployment,
            "stream": self.stream,
            "input_tokens": input_tokens,
            "cached_tokens": cached_tokens,
            "output_tokens": output_tokens,
            **_units_used(self.units),
            "counted_by": self.units_by or self.usage.counted_by,
            "ttft_us": self._since_start_us(self.first_token),
            "duration_us": self._since_start_us(self.ended),
            "attempt": self.attempt,
            **({} if self.trace is None else {"trace_id": self.trace.written_id}),
        }

    def _since_start_us(self, moment: float | None) -> int | None:
        return None if moment is None else round((moment - self.started) * 1e6)


def _units_used(units: Units) -> dict[str, int]:
    """What was used, by unit; most requests use tokens alone."""
    return {} if units is NO_UNITS else {name: amount for name, amount in asdict(units).items() if amount}

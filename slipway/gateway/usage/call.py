"""One tenant request as it goes: who, what, how it ended, how long it took. It becomes the usage event.

Belongs here: the facts of one request and how they are measured.
Does not: what happens in it (slipway.gateway.request), keeping the event (spool.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from slipway.catalog.fields import Task
from slipway.gateway.api.stream import UsageCount
from slipway.records.usage import Status, UsageEvent, event_time, new_request_id
from slipway.tenants.database import KeyRecord


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
    status: Status | None = None
    error_type: str | None = None
    http_status: int | None = None
    disconnected: bool = False
    first_token: float | None = None
    last_token: float | None = None
    max_gap_s: float | None = None
    ended: float | None = None

    def note_token(self) -> None:
        """Text was forwarded just now."""
        now = time.perf_counter()
        if self.last_token is None:
            self.first_token = now
        else:
            self.max_gap_s = max(self.max_gap_s or 0.0, now - self.last_token)
        self.last_token = now

    def end(self, status: Status, error_type: str | None) -> None:
        """The request's fate is known."""
        self.status = status
        self.error_type = error_type
        self.ended = time.perf_counter()

    def event(self, replica: str) -> UsageEvent:
        """The usage event of an ended request."""
        assert self.status is not None
        assert self.ended is not None
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
            status=self.status,
            error_type=self.error_type,
            ttft_us=self._since_start_us(self.first_token) if self.stream else None,
            duration_us=self._since_start_us(self.ended) or 0,
            max_gap_us=None if self.max_gap_s is None else round(self.max_gap_s * 1e6),
            cold_start=False,
            attempt=self.attempt,
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
            "ttft_us": self._since_start_us(self.first_token),
            "duration_us": self._since_start_us(self.ended),
            "attempt": self.attempt,
        }

    def _since_start_us(self, moment: float | None) -> int | None:
        return None if moment is None else round((moment - self.started) * 1e6)

"""The usage event: the one thing that the gateway and metering share.

Belongs here: the event's fields, its encoding, and where events of an hour lie in the object store.
Does not: how events are spooled (slipway.gateway) or rated (slipway.metering).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Status = Literal["success", "client_error", "server_error", "limited", "cancelled"]

PREFIX = "usage/"


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One request, whatever its end. Durations are integer microseconds, tokens are integers.

    `request_id` is a UUIDv7 minted by the gateway on arrival. Its timestamp is the event's time for
    partitioning and rating, so that every copy of an event meets its twin in one hour.
    `input_tokens` includes `cached_tokens` (OpenTelemetry GenAI conventions).
    """

    request_id: str
    ts: str
    org: str
    user: str
    api_key: str
    model: str
    deployment: str
    replica: str
    task: str
    stream: bool
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    status: Status
    error_type: str | None
    ttft_us: int | None
    duration_us: int
    max_gap_us: int | None
    cold_start: bool
    attempt: int

    def encode(self) -> bytes:
        """One NDJSON line, newline included."""
        import orjson

        return orjson.dumps(self, option=orjson.OPT_APPEND_NEWLINE)


def event_time(request_id: str) -> datetime:
    """The instant in a UUIDv7 (RFC 9562: 48 bits of Unix milliseconds), as an aware UTC datetime."""
    milliseconds = int(request_id.replace("-", "")[:12], 16)
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def hour_of(instant: datetime) -> datetime:
    """The hour (its start, UTC) that an instant belongs to."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hour_in(folder: str) -> datetime | None:
    """The hour of a folder below PREFIX, such as `hour=2026-01-31T09`; None where the folder is no hour."""
    try:
        return datetime.strptime(folder, "hour=%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def hour_prefix(hour: datetime) -> str:
    """Key prefix of all objects with events of an hour, such as `usage/hour=2026-01-31T09/`."""
    return f"{PREFIX}hour={hour.astimezone(UTC):%Y-%m-%dT%H}/"


def object_key(hour: datetime, replica: str, sequence: str) -> str:
    """Key of one gzip NDJSON object: hour, gateway replica and that replica's sequence."""
    return f"{hour_prefix(hour)}{replica}-{sequence}.ndjson.gz"

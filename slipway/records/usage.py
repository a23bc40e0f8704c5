"""The usage event: the one thing that the gateway and metering share.

Belongs here: the event's fields, its encoding, and where events of an hour lie in the object store.
Does not: how events are spooled (slipway.gateway) or rated (slipway.metering).
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from slipway.objectstore import ObjectStore

Status = Literal["success", "client_error", "server_error", "limited", "cancelled"]

# By what tokens and units were counted: the engine's own count; what the gateway counted itself (a text's
# characters, a sound's samples); a bound or what was seen of the answer, where neither is known; nothing,
# because nothing was done that is billed.
CountedBy = Literal["engine", "gateway", "bound", "none"]

PREFIX = "usage/"


@dataclass(frozen=True, slots=True)
class Units:
    """What one request used besides tokens, in billed units; docs/metering.md defines each.

    Each is a whole number. Audio is in milliseconds, characters are Unicode code points of a text to be
    spoken, documents and searches are of reranking and scoring.
    """

    input_audio_ms: int = 0
    output_audio_ms: int = 0
    characters: int = 0
    documents: int = 0
    searches: int = 0


NO_UNITS = Units()


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
    counted_by: CountedBy | None = None  # None: written by a version that did not say
    # The fields of Units.
    input_audio_ms: int = 0
    output_audio_ms: int = 0
    characters: int = 0
    documents: int = 0
    searches: int = 0
    # What it waited for before an engine had it: its turn, and a replica that slept or was not there.
    queue_us: int | None = None
    hold_us: int | None = None
    # Of the request that woke a replica: how long each phase of the wake took.
    cold_detect_us: int | None = None
    cold_schedule_us: int | None = None
    cold_pull_us: int | None = None
    cold_load_us: int | None = None
    cold_init_us: int | None = None
    cold_first_token_us: int | None = None

    def encode(self) -> bytes:
        """One NDJSON line, newline included; without the waits, or the units, of which it has none.

        Most requests have neither.
        """
        import orjson

        line = orjson.dumps(self, option=orjson.OPT_APPEND_NEWLINE)
        if line.endswith(_WAITS_OF_NONE):
            line = line[: -len(_WAITS_OF_NONE)] + b"}\n"
        return line[: -len(_UNITS_OF_NONE)] + b"}\n" if line.endswith(_UNITS_OF_NONE) else line


# The fields of an event that say how long it waited, and for what; last in the line.
WAITS = (
    "queue_us",
    "hold_us",
    "cold_detect_us",
    "cold_schedule_us",
    "cold_pull_us",
    "cold_load_us",
    "cold_init_us",
    "cold_first_token_us",
)
_WAITS_OF_NONE = "".join(f',"{name}":null' for name in WAITS).encode() + b"}\n"
_UNITS_OF_NONE = "".join(f',"{unit.name}":0' for unit in fields(Units)).encode() + b"}\n"


def new_request_id() -> str:
    """A UUIDv7 of this moment by the clock as it is: earlier than the one before if that was set back.

    The bits after the milliseconds are the fraction of the millisecond (RFC 9562, method 3) and chance: no
    counter, because one that never goes back keeps the latest time that it has ever seen.
    """
    return request_id_at(time.time_ns(), random.getrandbits(62))


def request_id_at(unix_ns: int, chance: int) -> str:
    """The UUIDv7 of an instant, with the last 62 bits of `chance`."""
    milliseconds, rest_ns = divmod(max(0, unix_ns), 1_000_000)
    fraction = rest_ns * 4_096 // 1_000_000
    last = 1 << 63 | chance & (1 << 62) - 1
    digits = f"{milliseconds & (1 << 48) - 1:012x}7{fraction:03x}{last:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


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
        hour = datetime.strptime(folder, "hour=%Y-%m-%dT%H").replace(tzinfo=UTC)
    except ValueError:
        return None
    return hour if hour_prefix(hour) == f"{PREFIX}{folder}/" else None  # such as `hour=2026-1-31T9`


def hour_prefix(hour: datetime) -> str:
    """Key prefix of all objects with events of an hour, such as `usage/hour=2026-01-31T09/`."""
    return f"{PREFIX}hour={hour.astimezone(UTC):%Y-%m-%dT%H}/"


def hours(store: ObjectStore) -> tuple[list[datetime], list[str]]:
    """Every hour that has objects, however old, in order; and the prefixes that are no hour's."""
    seen: list[datetime] = []
    strays: list[str] = []
    for folder in store.folders(PREFIX):
        hour = hour_in(folder)
        if hour is None:
            strays.append(f"{PREFIX}{folder}/")
        else:
            seen.append(hour)
    return sorted(seen), strays


@dataclass(frozen=True)
class CompactedName:
    """What the key of a compacted object says: fingerprint and number of what it was made of, its size."""

    fingerprint: str
    objects: int
    size_bytes: int


def compacted_key(hour: datetime, name: CompactedName) -> str:
    """Key of the Parquet object that small objects of an hour became."""
    return f"{hour_prefix(hour)}compacted-{name.fingerprint}-{name.objects}-{name.size_bytes}.parquet"


def compacted_name(key: str) -> CompactedName | None:
    """What a key says of a compacted object; None where it is another one's."""
    found = _COMPACTED.search(key)
    return CompactedName(found[1], int(found[2]), int(found[3])) if found else None


_COMPACTED = re.compile(r"/compacted-([0-9a-f]{64})-([0-9]+)-([0-9]+)\.parquet$")


def object_key(hour: datetime, replica: str, sequence: str) -> str:
    """Key of one gzip NDJSON object: hour, gateway replica and that replica's sequence."""
    return f"{hour_prefix(hour)}{replica}-{sequence}.ndjson.gz"

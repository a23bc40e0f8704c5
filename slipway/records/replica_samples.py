"""Samples of what runs: replicas and GPUs by deployment at an instant; the format of them.

Belongs here: values, object names, both directions, writing and reading them.
Does not: sampling (slipway.control.replica_samples), what an hour of them costs (slipway.metering.replicas).

An object is one instant, whatever ran: an hour with few objects was seldom looked at, and says so.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from slipway.objectstore import ObjectStore
from slipway.records.usage import hour_of

PREFIX = "samples/replicas/"
# Each instant stands for the time until the next one.
INTERVAL_S = 60

_READERS = 16


@dataclass(frozen=True)
class Sample:
    """One revision at one instant. `gpus` are cards, or fractions of them, of all ready replicas."""

    deployment: str
    spec_digest: str
    replicas: int
    gpus: float
    gpu_class: str | None


@dataclass(frozen=True)
class Instant:
    """Everything that ran at one instant, and the seconds that it stands for."""

    at: datetime
    interval_s: int
    samples: tuple[Sample, ...]

    @property
    def key(self) -> str:
        """Where it lies: by hour, so that an hour is one listing."""
        return f"{hour_prefix(self.at)}{self.at.astimezone(UTC):%M%S}.json"

    def encode(self) -> bytes:
        """The object."""
        rows = [asdict(each) for each in self.samples]
        document = {"at": self.at.astimezone(UTC).isoformat(), "interval_s": self.interval_s, "samples": rows}
        return json.dumps(document).encode()

    @classmethod
    def decode(cls, body: bytes) -> Instant:
        """From the object; raises ValueError for anything else."""
        try:
            document = json.loads(body)
            rows = tuple(Sample(**each) for each in document["samples"])
            at = datetime.fromisoformat(document["at"])
            instant = cls(at, int(document["interval_s"]), rows)
        except (KeyError, TypeError, UnicodeDecodeError) as error:
            raise ValueError(f"not a sample: {error}") from error
        if at.tzinfo is None or instant.interval_s <= 0:
            raise ValueError(f"not a sample: at = {document['at']}, interval_s = {instant.interval_s}")
        return instant


@dataclass(frozen=True)
class HourOfSamples:
    """The samples of one hour: its instants, each once, and the keys of objects that are none."""

    instants: tuple[Instant, ...]
    unreadable: tuple[str, ...]

    @property
    def sampled_s(self) -> int:
        """Seconds that the instants stand for."""
        return sum(instant.interval_s for instant in self.instants)

    @property
    def replica_seconds(self) -> int:
        """Of all deployments together."""
        return sum(
            instant.interval_s * sample.replicas for instant in self.instants for sample in instant.samples
        )


def write(store: ObjectStore, instant: Instant) -> str:
    """Write the samples of an instant; the same instant again replaces them. Returns the key."""
    store.put(instant.key, instant.encode(), content_type="application/json")
    return instant.key


def read(store: ObjectStore, hour: datetime) -> HourOfSamples:
    """All samples of an hour, given by its start."""
    keys = [stored.key for stored in store.list(hour_prefix(hour))]
    instants: dict[datetime, Instant] = {}
    unreadable: list[str] = []
    with ThreadPoolExecutor(_READERS) as pool:
        for key, body in zip(keys, pool.map(store.get, keys), strict=True):
            try:
                instant = Instant.decode(body or b"")
            except ValueError:
                unreadable.append(key)
                continue
            if hour_of(instant.at) != hour:
                unreadable.append(key)
                continue
            instants[instant.at] = instant
    return HourOfSamples(tuple(instants.values()), tuple(unreadable))


def hours(store: ObjectStore) -> tuple[list[datetime], list[str]]:
    """Every hour that has samples, however old, in order; and the prefixes that are no hour's."""
    prefixes = [PREFIX]
    for _ in ("year", "month", "day", "hour"):
        prefixes = [f"{prefix}{folder}/" for prefix in prefixes for folder in store.folders(prefix)]
    seen: list[datetime] = []
    strays: list[str] = []
    for prefix in prefixes:
        hour = _hour_of_prefix(prefix)
        if hour is None:
            strays.append(prefix)
        else:
            seen.append(hour)
    return sorted(seen), strays


def _hour_of_prefix(prefix: str) -> datetime | None:
    try:
        hour = datetime.strptime(prefix, f"{PREFIX}%Y/%m/%d/%H/").replace(tzinfo=UTC)
    except ValueError:
        return None
    return hour if hour_prefix(hour) == prefix else None


def instant_of(now: datetime) -> datetime:
    """The instant that a moment belongs to: whole intervals since midnight in UTC."""
    utc = now.astimezone(UTC)
    midnight = utc.replace(hour=0, minute=0, second=0, microsecond=0)
    return utc.replace(microsecond=0) - (utc.replace(microsecond=0) - midnight) % timedelta(
        seconds=INTERVAL_S
    )


def hour_prefix(hour: datetime) -> str:
    """Key prefix of the instants of an hour."""
    return f"{PREFIX}{hour.astimezone(UTC):%Y/%m/%d/%H}/"

"""Heartbeats of gateways: an object per replica, start and hour, which says how many events it recorded.

Belongs here: their keys and format, writing one, reading those of an hour.
Does not: counting (slipway.gateway.usage.heart), what is concluded (slipway.metering.checks).

An hour in which no gateway wrote one is not known to be empty. What a gateway has recorded and is not in the
store is lost, or late.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.objectstore import ObjectStore

PREFIX = "heartbeats/"
INTERVAL_S = 60

_READERS = 16


@dataclass(frozen=True, order=True)
class Heartbeat:
    """What one start of a replica says of an hour.

    `recorded` are the usage events of the hour, by their ids, that it has in its spool for good or shipped;
    `first_at` and `last_at` are when it first and last said so within the hour, None where only events of the
    hour were recorded when it was over.
    """

    hour: datetime
    replica: str
    start: str
    recorded: int
    first_at: datetime | None
    last_at: datetime | None

    @property
    def key(self) -> str:
        """Where it lies."""
        return f"{hour_prefix(self.hour)}{self.replica}-{self.start}.json"

    def encode(self) -> bytes:
        """The object."""
        return json.dumps({name: _plain(value) for name, value in asdict(self).items()}).encode()

    @classmethod
    def decode(cls, body: bytes) -> Heartbeat:
        """From the object; raises ValueError for anything else."""
        try:
            plain: dict[str, Any] = json.loads(body)
            told = {name: _instant(plain[name]) for name in ("hour", "first_at", "last_at")}
            hour, recorded = told["hour"], plain["recorded"]
            if type(recorded) is not int or recorded < 0 or hour is None:
                raise ValueError("its count is no whole number, or it is of no hour")
            replica, start = str(plain["replica"]), str(plain["start"])
            return cls(hour, replica, start, recorded, told["first_at"], told["last_at"])
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a heartbeat: {type(error).__name__}") from error


def hour_prefix(hour: datetime) -> str:
    """Key prefix of the heartbeats of an hour."""
    return f"{PREFIX}hour={hour.astimezone(UTC):%Y-%m-%dT%H}/"


def read(store: ObjectStore, hours: Iterable[datetime]) -> list[Heartbeat]:
    """Those of these hours. An object that is none says nothing. Raises ObjectStoreError."""
    with ThreadPoolExecutor(_READERS, thread_name_prefix="heartbeats") as pool:
        listed = pool.map(lambda hour: [stored.key for stored in store.list(hour_prefix(hour))], hours)
        keys = [key for of_hour in listed for key in of_hour]
        found = list(pool.map(store.get, keys))
    beats = []
    for key, body in zip(keys, found, strict=True):
        try:
            beat = Heartbeat.decode(body or b"")
        except ValueError:
            continue
        if beat.key == key:  # else it was put there under another's name
            beats.append(beat)
    return sorted(beats, key=lambda beat: beat.key)


def _instant(written: str | None) -> datetime | None:
    if written is None:
        return None
    at = datetime.fromisoformat(written)
    if at.tzinfo is None:
        raise ValueError(f"{written} has no zone")
    return at.astimezone(UTC)


def _plain(value: object) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value

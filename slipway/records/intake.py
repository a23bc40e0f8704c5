"""The intake of an hour: its usage, read and each request once, in a part for each shard of the warehouse.

Belongs here: the keys, and what an intake says of itself.
Does not: making one and rolling it up (slipway.metering.shards).

It is made of usage objects and can be made of them again, so that it is removed when it was rolled up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TypeVar

from slipway.objectstore import ObjectStore

Item = TypeVar("Item")
Answer = TypeVar("Answer")

PREFIX = "intake/"
_AT_ONCE = 16


@dataclass(frozen=True)
class Intake:
    """What was taken in of an hour: of which objects (`fingerprint`, `objects`), for how many shards, when.

    It lies in `folder`. `pieces` is the number of objects that each part consists of, `unreadable` the keys
    of what could not be counted; `duplicates` and `conflicts` are of the whole hour.
    """

    hour: datetime
    folder: str
    shards: int
    taken_at: datetime
    fingerprint: str
    objects: int
    size_bytes: int
    pieces: int
    unreadable: tuple[str, ...]
    duplicates: int
    conflicts: int

    def part(self, kind: str, shard: int) -> list[str]:
        """The keys of a shard's part of one kind, `usage` or `latency`."""
        return [part_key(self.folder, kind, shard, piece) for piece in range(self.pieces)]


def hour_prefix(hour: datetime) -> str:
    """Key prefix of all of an hour's intake."""
    return f"{PREFIX}hour={hour.astimezone(UTC):%Y-%m-%dT%H}/"


def part_key(folder: str, kind: str, shard: int, piece: int) -> str:
    """The key of one of the objects that a shard's part consists of."""
    return f"{folder}{kind}-{shard}-{piece}.parquet"


def write(store: ObjectStore, intakes: Iterable[Intake]) -> None:
    """Say that these are whole; what they name is there already. Raises ObjectStoreError."""
    _at_once(lambda intake: _write(store, intake), intakes)


def _write(store: ObjectStore, intake: Intake) -> None:
    plain = {**asdict(intake), "hour": intake.hour.isoformat(), "taken_at": intake.taken_at.isoformat()}
    store.put(_key(intake.hour, intake.shards), json.dumps(plain).encode(), content_type="application/json")


def read(store: ObjectStore, hours: Sequence[datetime], shards: int) -> dict[datetime, Intake]:
    """The intake of these hours for so many shards, of those that have one. Raises ObjectStoreError."""
    found = _at_once(lambda hour: _read(store, hour, shards), hours)
    return {each.hour: each for each in found if each is not None}


def _read(store: ObjectStore, hour: datetime, shards: int) -> Intake | None:
    body = store.get(_key(hour, shards))
    if body is None:
        return None
    try:
        plain = json.loads(body)
        instants = {name: datetime.fromisoformat(plain[name]) for name in ("hour", "taken_at")}
        return Intake(**{**plain, **instants, "unreadable": tuple(plain["unreadable"])})
    except (ValueError, KeyError, TypeError):
        return None  # of another version: it is made again


def remove(store: ObjectStore, hours: Sequence[datetime]) -> None:
    """Remove the intake of these hours; what says that it is whole goes first. Raises ObjectStoreError."""
    _at_once(lambda hour: _remove(store, hour), hours)


def _remove(store: ObjectStore, hour: datetime) -> None:
    for key in sorted((each.key for each in store.list(hour_prefix(hour))), key=_after_the_records):
        store.delete(key)


def _at_once(call: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """What the call answers for each item: a backfill has hundreds, and each waits for the store."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="intake") as pool:
        return list(pool.map(call, items))


def _after_the_records(key: str) -> tuple[bool, str]:
    return (not key.endswith(".json"), key)


def _key(hour: datetime, shards: int) -> str:
    return f"{hour_prefix(hour)}intake-{shards}.json"

"""What an hour was made of: the fingerprint of its objects, and which hours no longer match it.

Belongs here: listing an hour's objects, the digest over them, the comparison with what was rolled up.
Does not: reading the objects (events.py), asking for another rollup (sensors).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from slipway.metering.published import PublishedCopy
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore, StoredObject
from slipway.records.usage import hour_prefix

_LISTERS = 16


def fingerprint(objects: Iterable[StoredObject]) -> str:
    """sha256 (hex) over key, size and entity tag of every object, sorted by key."""
    lines = sorted(f"{stored.key}\t{stored.size_bytes}\t{stored.etag}\n" for stored in objects)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


EMPTY = fingerprint(())


def list_hours(store: ObjectStore, hours: Sequence[datetime]) -> dict[datetime, list[StoredObject]]:
    """The usage objects of each hour, in key order; several hours at a time. Raises ObjectStoreError."""
    with ThreadPoolExecutor(_LISTERS, thread_name_prefix="list-usage") as pool:
        listings = pool.map(lambda hour: list(store.list(hour_prefix(hour))), hours)
        return dict(zip(hours, listings, strict=True))


def differing(recorded: Mapping[datetime, str], live: Mapping[datetime, str]) -> list[datetime]:
    """The hours whose objects are not those of the last rollup; an hour never rolled up counts as empty."""
    return sorted(hour for hour, now in live.items() if recorded.get(hour, EMPTY) != now)


def stale_hours(store: ObjectStore, warehouse: Warehouse, hours: Sequence[datetime]) -> list[datetime]:
    """Which of the hours have other objects now than when they were rolled up and published.

    Reads the published copy. Raises ObjectStoreError.
    """
    live = {hour: fingerprint(objects) for hour, objects in list_hours(store, hours).items()}
    recorded: dict[datetime, str] = {}
    if warehouse.published_path.exists():
        rows = PublishedCopy(warehouse.directory).rows("fingerprints", hours=list(hours))
        recorded = {row["hour"]: row["input_fingerprint"] for row in rows}
    return differing(recorded, live)

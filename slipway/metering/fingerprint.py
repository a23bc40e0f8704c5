"""What an hour was made of: its objects, and the fingerprint of them.

Belongs here: listing an hour's objects, the digest over them.
Does not: reading the objects (events.py), which hours no longer match theirs (staleness.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from slipway.batchreader import BatchReader
from slipway.objectstore import ObjectStore, StoredObject
from slipway.records.usage import hour_prefix

_LISTERS = 16


def fingerprint(objects: Iterable[StoredObject]) -> str:
    """sha256 (hex) over key, size and entity tag of every object, sorted by key."""
    lines = sorted(f"{stored.key}\t{stored.size_bytes}\t{_tag(stored.etag)}\n" for stored in objects)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _tag(etag: str) -> str:
    """The tag as S3 writes it: some stores quote it in one answer and not in another."""
    return '"' + etag.removeprefix("W/").strip('"') + '"'


def list_hours(store: ObjectStore, hours: Sequence[datetime]) -> dict[datetime, list[StoredObject]]:
    """The usage objects of each hour, in key order; several hours at a time. Raises ObjectStoreError."""
    reader = BatchReader(store)
    with ThreadPoolExecutor(_LISTERS, thread_name_prefix="list-usage") as pool:
        listings = pool.map(lambda hour: reader.list(hour_prefix(hour)), hours)
        return dict(zip(hours, listings, strict=True))

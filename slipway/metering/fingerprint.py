"""What an hour was made of: the small objects that gateways shipped, and the fingerprint of them.

Belongs here: listing an hour's objects, which of them are to be read, the digest over what gateways shipped.
Does not: reading the objects (events.py), what a compacted object is (compacted.py), making one
(compaction.py), which hours no longer match theirs (staleness.py).

An hour's fingerprint is of what gateways shipped, compacted or not: an hour does not differ because its small
objects became one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from slipway.batchreader import BatchReader
from slipway.metering.compacted import Compacted, damage, read_compacted
from slipway.objectstore import ObjectStore, StoredObject
from slipway.records.usage import compacted_name, hour_prefix

_LISTERS = 16


@dataclass(frozen=True)
class HourOfUsage:
    """The objects of an hour. To be read are `compacted` and `small`, which hold everything once.

    `covered` are small objects, and `superseded` compacted ones, that are still there and are in a compacted
    object already.
    """

    compacted: tuple[Compacted, ...] = ()
    small: tuple[StoredObject, ...] = ()
    covered: tuple[StoredObject, ...] = ()
    superseded: tuple[Compacted, ...] = ()

    @property
    def shipped(self) -> list[StoredObject]:
        """What gateways shipped, in key order, whether it is still there or not."""
        made_of = {_identity(stored): stored for each in self.compacted for stored in each.made_of}
        return sorted([*made_of.values(), *self.small], key=lambda stored: stored.key)

    @property
    def size_bytes(self) -> int:
        """How much is to be read."""
        return sum(each.stored.size_bytes for each in self.compacted) + sum(
            stored.size_bytes for stored in self.small
        )


def fingerprint(objects: Iterable[StoredObject]) -> str:
    """sha256 (hex) over key, size and entity tag of every object, sorted by key."""
    lines = sorted("\t".join(map(str, _identity(stored))) + "\n" for stored in objects)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _identity(stored: StoredObject) -> tuple[str, int, str]:
    """The tag as S3 writes it: some stores quote it in one answer and not in another."""
    return stored.key, stored.size_bytes, '"' + stored.etag.removeprefix("W/").strip('"') + '"'


def arranged(small: Sequence[StoredObject], compacted: Sequence[Compacted]) -> HourOfUsage:
    """Which objects of an hour are to be read, so that everything is read once.

    Of two compacted objects, one that holds nothing besides what the other holds is superseded. A small
    object that changed since it was compacted is another one.
    """
    read: list[Compacted] = []
    superseded: list[Compacted] = []
    held: set[tuple[str, int, str]] = set()
    for each in sorted(compacted, key=lambda each: (-len(each.made_of), each.stored.key)):
        made_of = {_identity(stored) for stored in each.made_of}
        (superseded if made_of <= held else read).append(each)
        held |= made_of
    return HourOfUsage(
        compacted=tuple(read),
        small=tuple(stored for stored in small if _identity(stored) not in held),
        covered=tuple(stored for stored in small if _identity(stored) in held),
        superseded=tuple(superseded),
    )


def list_hours(store: ObjectStore, hours: Sequence[datetime]) -> dict[datetime, HourOfUsage]:
    """The usage objects of each hour, in key order; several hours at a time.

    Raises ObjectStoreError, and DamagedObjectError for a compacted object that is not what was written.
    """
    return {hour: contents_of_hour(store, listed) for hour, listed in listings(store, hours).items()}


def contents_of_hour(store: ObjectStore, listed: Sequence[StoredObject]) -> HourOfUsage:
    """What the listed objects of an hour are; compacted ones are asked what they stand for.

    Raises ObjectStoreError, DamagedObjectError.
    """
    small, compacted = _parted(listed)
    return arranged(small, [read_compacted(store, stored) for stored in compacted])


def shipped_to(store: ObjectStore, hours: Sequence[datetime]) -> dict[datetime, tuple[str, int]]:
    """(fingerprint, number) of what gateways shipped to each hour: list_hours' without reading, mostly.

    A compacted object's key says both. It is read only where there are other objects beside it. One that is
    not of the size that its key says counts for nothing: what it stood for is missing.
    """

    def told(listed: list[StoredObject]) -> tuple[str, int]:
        small, compacted = _parted(listed)
        sound = [stored for stored in compacted if damage(stored) is None]
        names = [name for stored in sound if (name := compacted_name(stored.key))]
        whole = fingerprint(small)
        if not names or any(name.fingerprint == whole for name in names):
            return whole, len(small)
        if len(names) == 1 and not small:
            return names[0].fingerprint, names[0].objects
        shipped = arranged(small, [read_compacted(store, stored) for stored in sound]).shipped
        return fingerprint(shipped), len(shipped)

    return {hour: told(listed) for hour, listed in listings(store, hours).items()}


def _parted(listed: Iterable[StoredObject]) -> tuple[list[StoredObject], list[StoredObject]]:
    """Small objects, and compacted ones."""
    small: list[StoredObject] = []
    compacted: list[StoredObject] = []
    for stored in listed:
        (small if compacted_name(stored.key) is None else compacted).append(stored)
    return small, compacted


def listings(store: ObjectStore, hours: Sequence[datetime]) -> dict[datetime, list[StoredObject]]:
    """All objects of each hour, in key order; several hours at a time. Raises ObjectStoreError."""
    reader = BatchReader(store)
    with ThreadPoolExecutor(_LISTERS, thread_name_prefix="list-usage") as pool:
        listed = pool.map(lambda hour: reader.list(hour_prefix(hour)), hours)
        return dict(zip(hours, listed, strict=True))

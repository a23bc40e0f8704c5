"""Ships spooled usage events to the object store: one gzip NDJSON object per sealed segment and hour.

Belongs here: which objects a segment becomes, and when a segment may be forgotten.
Does not: writing events (spool.py), when to ship (slipway.gateway.server).

A segment's objects have names and bytes that depend on nothing but the segment. So a shipment cut short at
any point is simply done again, by this process or by the next one that finds the segment.
"""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from datetime import datetime

import orjson

from slipway.gateway.telemetry import log
from slipway.gateway.usage.spool import Segment, Spool
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.records import usage


@dataclass(frozen=True)
class Shipped:
    """What one round brought to the store."""

    objects: int = 0
    events: int = 0


@dataclass(frozen=True)
class Parcel:
    """The objects of one segment by key, and how many lines could and could not be read."""

    objects: dict[str, bytes]
    events: int
    unreadable: int


class Shipper:
    """Moves segments from one spool to one store. Rounds exclude each other."""

    def __init__(self, spool: Spool, store: ObjectStore) -> None:
        self._spool = spool
        self._store = store
        self._lock = threading.Lock()

    def ship(self) -> Shipped:
        """Ship everything spooled so far. Raises ObjectStoreError; what is not in the store stays spooled.

        A segment that cannot be shipped for a reason of its own (a disk's fault) holds up no other: its error
        is raised when all were tried.
        """
        with self._lock:
            objects = events = 0
            own: Exception | None = None
            for segment in self._spool.seal():
                try:
                    parcel = self._ship(segment)
                except ObjectStoreError:
                    raise
                except Exception as error:  # noqa: BLE001 - raised below
                    own = own or error
                else:
                    objects += len(parcel.objects)
                    events += parcel.events
            if own is not None:
                raise own
            return Shipped(objects, events)

    def _ship(self, segment: Segment) -> Parcel:
        parcel = pack(segment)
        for key, body in parcel.objects.items():
            self._store.put(key, body, content_type="application/gzip")
        if parcel.unreadable:
            log.write("error", "unreadable events kept aside", segment=str(segment.path))
        self._spool.drop(segment, parcel.events + parcel.unreadable, damaged=parcel.unreadable > 0)
        return parcel


def pack(segment: Segment) -> Parcel:
    """Make a segment's objects. A line that is no event (a disk's fault) is counted, never guessed at."""
    by_hour: dict[datetime, list[bytes]] = {}
    unreadable = 0
    for line in segment.lines():
        try:
            hour = usage.hour_of(usage.event_time(orjson.loads(line)["request_id"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            unreadable += 1
            continue
        by_hour.setdefault(hour, []).append(line)
    objects = {
        usage.object_key(hour, segment.replica, segment.sequence): gzip.compress(b"".join(lines), 6, mtime=0)
        for hour, lines in sorted(by_hour.items())
    }
    return Parcel(objects, sum(map(len, by_hour.values())), unreadable)

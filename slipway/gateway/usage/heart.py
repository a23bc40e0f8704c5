"""The replica's heartbeat: how many events of which hour it recorded, told to the store each minute.

Belongs here: counting, and what is written when. Does not: the objects (slipway.records.heartbeats), the
events (spool.py), the thread (slipway.gateway.periodic).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import uuid_utils

from slipway.objectstore import ObjectStore
from slipway.records.heartbeats import Heartbeat

_HOUR_MS = 3_600_000


class Heart:
    """Counts of one start of a replica. `count` is called where requests are served, `beat` elsewhere."""

    def __init__(
        self,
        replica: str,
        store: ObjectStore,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._replica = replica
        self._start = uuid_utils.uuid7().hex
        self._store = store
        self._now = now
        self._recorded: dict[int, int] = {}  # by hours since 1970
        self._told: dict[int, Heartbeat] = {}
        self._beating = threading.Lock()

    def count(self, request_id: str) -> None:
        """One event was recorded. Its hour is that of its id, a UUIDv7, as in the warehouse.

        An hour costs a few bytes for as long as the process runs.
        """
        hour = int(request_id[:8] + request_id[9:13], 16) // _HOUR_MS
        self._recorded[hour] = self._recorded.get(hour, 0) + 1

    def beat(self) -> None:
        """Write the running hour's, and those of hours that have had more since. Raises ObjectStoreError."""
        with self._beating:
            now = self._now()
            running = int(now.timestamp() * 1000) // _HOUR_MS
            for hour, recorded in sorted({running: 0, **self._recorded}.items()):
                before = self._told.get(hour)
                if hour != running and before is not None and before.recorded == recorded:
                    continue
                at = now if hour == running else None
                told = before or Heartbeat(_instant(hour), self._replica, self._start, 0, at, at)
                told = replace(told, recorded=recorded, last_at=at or told.last_at)
                self._store.put(told.key, told.encode(), content_type="application/json")
                self._told[hour] = told


def _instant(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * 3600, UTC)

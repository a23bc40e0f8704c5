"""The published route tables: numbered objects in S3, each written once, so that no change loses another.

Belongs here: their keys, which one counts, changing it, removing old ones.
Does not: what a table is (routes.py), what goes into one (slipway.control.routing), serving by it
(slipway.gateway).

The table that counts is the one with the highest number. A change reads it and creates the next number, which
the store grants to one writer alone (`If-None-Match: *`); any other starts again from what that one wrote.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from slipway.objectstore import ObjectStore
from slipway.records import routes
from slipway.records.routes import RouteTable, RouteTableError

PREFIX = "routes/"
# One object that was replaced, before tables had numbers. It counts until there is a numbered one.
LEGACY_KEY = "routes/gateway.json"
# Old tables are kept to see what was changed when; nobody needs them to serve. A few more may be there.
KEPT_TABLES = 100

_NUMBERED = re.compile(r"routes/(\d{12})\.json")
_PATIENCE_S = 60.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.5


class RoutesContendedError(RuntimeError):
    """Other writers were first for so long that a change was given up; nothing of it was published."""

    retriable = True


class NumberedTable(NamedTuple):
    """A table with its number: 0 for that of a version before numbers, and for none at all."""

    number: int
    table: RouteTable


@dataclass(frozen=True)
class StoredTable:
    """One table in the store, unread. The entity tag tells a number that was removed and written again."""

    number: int
    key: str
    etag: str


class RouteStore:
    """The tables of one object store. Any number of processes may change them at once."""

    def __init__(self, store: ObjectStore, *, kept: int = KEPT_TABLES) -> None:
        self._store = store
        self._kept = kept
        self._known = 0  # the last number seen: from there on a listing is short

    def newest(self, known: int = 0) -> StoredTable | None:
        """The table that counts, by one listing: a short one for who knows a `known` number already."""
        after = key_of(known - 1) if known > 1 else ""
        numbered, legacy = self._listed(after)
        if not numbered and after:
            return self.newest()  # what was known is gone: removed by hand, or another store
        return max(numbered, key=lambda stored: stored.number, default=legacy)

    def read(self, stored: StoredTable) -> bytes | None:
        """Its bytes; None when it was removed since."""
        return self._store.get(stored.key)

    def latest(self) -> NumberedTable:
        """The table that counts; an empty one with number 0 before the first.

        Raises RouteTableError, naming the object, when it cannot be read.
        """
        while (stored := self.newest(self._known)) is not None:
            self._known = stored.number
            body = self.read(stored)
            if body is not None:  # else: removed as old while this was reading; there is a newer one
                return NumberedTable(stored.number, self._parsed(stored.key, body))
        return NumberedTable(0, routes.build(()))

    def change(self, make: Callable[[RouteTable], RouteTable]) -> NumberedTable:
        """Publish what `make` makes of the table that counts, and return it; an equal one is not written.

        `make` is called again whenever another writer was first, so it must look up anew what it needs.
        Raises RouteTableError as `latest` does, and RoutesContendedError.
        """
        end = time.monotonic() + _PATIENCE_S
        pause_s = _SHORTEST_PAUSE_S
        while True:
            number, before = self.latest()
            after = make(before)
            if number > 0 and after.version == before.version:
                return NumberedTable(number, before)
            if self._is_published(number + 1, routes.encode(after)):
                return NumberedTable(number + 1, after)
            if time.monotonic() > end:
                raise RoutesContendedError(
                    f"routes in bucket {self._store.location.bucket}: for {_PATIENCE_S:g} s other writers "
                    f"were first, last with number {number + 1}. Nothing was published; run this again."
                )
            time.sleep(random.uniform(0, pause_s))  # noqa: S311 - apart from each other, not unguessable
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _is_published(self, number: int, body: bytes) -> bool:
        key = key_of(number)
        created = self._store.create(key, body)
        # A first try whose reply was lost is refused when the client repeats it: then what is there is ours.
        if not created and self._store.get(key) != body:
            return False
        later, _ = self._listed(key)
        newest = max((stored.number for stored in later), default=number)
        if number <= newest - self._kept:
            # It may have been written and removed before: this writer was away while many others wrote.
            self._store.delete(key)
            return False
        if number % max(1, self._kept // 10) == 0:
            self._remove_old(newest)
        return True

    def _remove_old(self, newest: int) -> None:
        numbered, _ = self._listed("")
        for stored in numbered:
            if stored.number <= newest - self._kept:
                self._store.delete(stored.key)

    def _listed(self, after: str) -> tuple[list[StoredTable], StoredTable | None]:
        """All with a number, and that of the version before."""
        numbered: list[StoredTable] = []
        legacy: StoredTable | None = None
        for item in self._store.list(PREFIX, start_after=after):
            match = _NUMBERED.fullmatch(item.key)
            if match is not None:
                numbered.append(StoredTable(int(match[1]), item.key, item.etag))
            elif item.key == LEGACY_KEY:
                legacy = StoredTable(0, item.key, item.etag)
        return numbered, legacy

    def _parsed(self, key: str, body: bytes) -> RouteTable:
        try:
            return routes.parse(body)
        except RouteTableError as error:
            bucket = self._store.location.bucket
            raise RouteTableError(
                f"{key} in bucket {bucket}: {error}\nGateways keep the table that they have. Remove this "
                "object: then the one before it counts again, or the routes are published anew."
            ) from error


def key_of(number: int) -> str:
    """Where the table of a number lies."""
    return f"{PREFIX}{number:012}.json"

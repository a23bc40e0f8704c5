"""The route table in use, following the numbered tables in S3; the last good one is kept for a restart.

Belongs here: fetching, refusing a bad table, the cached copy.
Does not: which table counts (slipway.records.route_store), what makes one bad (slipway.records.routes).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from slipway.gateway.telemetry import log
from slipway.objectstore import ObjectStore
from slipway.records import routes
from slipway.records.route_store import RouteStore, StoredTable
from slipway.records.routes import RouteTable, RouteTableError


class RouteFollower:
    """Holds `table`, which is replaced as a whole. `poll` is called by one thread, readers are in another.

    Of a table, it holds what a gateway of its endpoint serves.
    `number` is that of the table in use: 0 for a table of the version before numbers, or of the cached copy.
    """

    def __init__(self, store: ObjectStore, cache: Path, endpoint: str | None = None) -> None:
        self._routes = RouteStore(store)
        self._endpoint = endpoint
        self._cache = cache
        self._seen: StoredTable | None = None  # loaded or refused: it is not read again
        self.loaded = False
        self.refused: str | None = None
        self.number = 0
        self.table = routes.build(())
        self._read_cache()

    def poll(self) -> None:
        """Follow the tables. Raises ObjectStoreError; a refused table is logged once and told in status."""
        newest = self._routes.newest(known=self._seen.number if self._seen is not None else 0)
        if newest is not None and newest != self._seen:
            body = self._routes.read(newest)
            if body is not None:  # else: removed as old since it was listed; the next poll finds a newer one
                self._take(newest, body)
        self.loaded = True

    def _take(self, newest: StoredTable, body: bytes) -> None:
        self._seen = newest
        try:
            self._use(routes.parse(body), newest.number)
        except BaseException as error:  # what breaks a library is a bad table, too: the next may be good
            self.refused = log.reason_of(error, (RouteTableError,))
            log.write(
                "error",
                "route table refused",
                key=newest.key,
                error=self.refused,
                kept_version=self.table.version,
            )
            if not isinstance(error, Exception):
                raise
            return
        self.refused = None
        _write_atomically(self._cache, body)

    def _use(self, table: RouteTable, number: int) -> None:
        # Filled before others see the table: a cached_property computes on first use.
        served = table.at(self._endpoint)
        names = list(served.by_model)
        served.models_of("")
        self.table = served
        self.number = number  # last: who waits for it finds the table in use
        log.write("info", "route table in use", number=number, version=table.version, models=names)

    def _read_cache(self) -> None:
        """Whatever is in its place, the gateway starts: the tables in the store count."""
        with contextlib.suppress(FileNotFoundError):
            try:
                self._use(routes.parse(self._cache.read_bytes()), 0)
                self.loaded = True
            except FileNotFoundError:
                raise
            except Exception as error:  # noqa: BLE001
                reason = log.reason_of(error, (RouteTableError,))
                log.write("warning", "cached route table ignored", path=str(self._cache), error=reason)


def _write_atomically(path: Path, body: bytes) -> None:
    """Replace the file. Without room on the disk the gateway serves on; a restart would miss the copy."""
    new = path.with_suffix(".new")
    try:
        new.write_bytes(body)
        new.replace(path)
    except OSError as error:
        log.write("warning", "route table not cached", path=str(path), error=str(error))

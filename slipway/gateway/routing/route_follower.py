"""The route table in use, following the object in S3; the last good one is kept on disk for a restart.

Belongs here: fetching, refusing a bad table, the cached copy. Does not: what makes a table bad (routes.py).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from slipway.gateway.telemetry import log
from slipway.objectstore import ObjectStore
from slipway.records import routes
from slipway.records.routes import RouteTable, RouteTableError


class RouteFollower:
    """Holds `table`, which is replaced as a whole. `poll` is called by one thread, readers are in another."""

    def __init__(self, store: ObjectStore, cache: Path) -> None:
        self._store = store
        self._cache = cache
        self._etag: str | None = None
        self.loaded = False
        self.refused: str | None = None
        self.table = routes.build(())
        self._read_cache()

    def poll(self) -> None:
        """Follow the object. Raises ObjectStoreError; a refused table is logged once and told in status."""
        found = self._store.get_if_changed(routes.KEY, self._etag)
        self.loaded = True
        if found is None:
            return
        body, self._etag = found
        try:
            table = routes.parse(body)
        except RouteTableError as error:
            self.refused = str(error)
            log.write("error", "route table refused", error=str(error), kept_version=self.table.version)
            return
        self.refused = None
        self._use(table)
        _write_atomically(self._cache, body)

    def _use(self, table: RouteTable) -> None:
        # Filled before others see the table: a cached_property computes on first use.
        names = list(table.by_model)
        self.table = table
        log.write("info", "route table in use", version=table.version, models=names)

    def _read_cache(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            try:
                self._use(routes.parse(self._cache.read_bytes()))
                self.loaded = True
            except RouteTableError as error:
                log.write("warning", "cached route table ignored", path=str(self._cache), error=str(error))


def _write_atomically(path: Path, body: bytes) -> None:
    """Replace the file. Without room on the disk the gateway serves on; a restart would miss the copy."""
    new = path.with_suffix(".new")
    try:
        new.write_bytes(body)
        new.replace(path)
    except OSError as error:
        log.write("warning", "route table not cached", path=str(path), error=str(error))

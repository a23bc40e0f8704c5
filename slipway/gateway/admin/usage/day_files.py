"""Published days as files on this machine: fetched when they have changed, kept within a bound.

Belongs here: the cache of Parquet by entity tag. Does not: what is in them (reader.py).

A file is named for what it holds, so that one of another version is never taken for it. Whoever reads has
links of his own, and is not disturbed by what is removed meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from slipway.objectstore import ObjectStore
from slipway.records import published_usage

MOST_BYTES = 512 * 2**20


class DayFiles:
    """Days of one table. Safe to share between threads."""

    def __init__(self, store: ObjectStore, directory: Path, table: str, most_bytes: int = MOST_BYTES) -> None:
        self._store = store
        self._directory = directory
        self._table = table
        self._most_bytes = most_bytes
        self._lock = threading.Lock()

    @contextmanager
    def of(self, first: date, last: date) -> Iterator[list[Path]]:
        """Files of the days that were published, until the block ends. Raises ObjectStoreError, OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        links = Path(tempfile.mkdtemp(prefix="read-", dir=self._directory))
        try:
            yield [
                linked
                for day, stored in published_usage.days(self._store, self._table, first, last)
                if (linked := self._linked(day, stored.key, stored.etag, links)) is not None
            ]
        finally:
            shutil.rmtree(links, ignore_errors=True)
            self._shrink()

    def clear(self) -> None:
        """Forget everything, also what a killed process left."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _linked(self, day: date, key: str, etag: str, links: Path) -> Path | None:
        link = links / f"{day}.parquet"
        kept = self._directory / _name(day, etag)
        try:
            os.link(kept, link)
            os.utime(kept)
            return link
        except FileNotFoundError:
            pass
        fetched = self._store.get_if_changed(key, None)
        if fetched is None:
            return None  # removed since it was listed
        body, etag = fetched
        link.write_bytes(body)
        _copy_of(link).replace(self._directory / _name(day, etag))
        return link

    def _shrink(self) -> None:
        """Remove what was not read for longest, until the rest fits."""
        with self._lock:
            held = [(path.stat(), path) for path in self._directory.glob("*.parquet")]
            total_bytes = sum(status.st_size for status, _ in held)
            for status, path in sorted(held, key=lambda each: each[0].st_mtime_ns):
                if total_bytes <= self._most_bytes:
                    return
                path.unlink(missing_ok=True)
                total_bytes -= status.st_size


def _name(day: date, etag: str) -> str:
    return f"{day}-{hashlib.sha256(etag.encode()).hexdigest()[:24]}.parquet"


def _copy_of(path: Path) -> Path:
    """A second link to the same bytes, to be moved into place."""
    second = path.with_suffix(".kept")
    os.link(path, second)
    return second

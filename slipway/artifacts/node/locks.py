"""Who uses and who fills an entry of the node cache, across processes and over kill -9.

Belongs here: the locks. Does not: what an entry is, or which goes first (cache.py).
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

# Marks of this process, by lock file. They must outlive the NodeCache that made them: an engine maps the
# files until it ends. The kernel drops them with the process, however it ends.
_marks: dict[Path, int] = {}
_marks_guard = threading.Lock()


class CacheLocks:
    """The locks of one cache directory; the files stay, as removing a lock file is a race."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def filling(self, entry: str) -> FileLock:
        """Held while the entry is checked or filled: others that want it wait, then find it."""
        return FileLock(self._file(f"{entry}.fill"))

    def making_room(self) -> FileLock:
        """Held while space is counted, freed and reserved."""
        return FileLock(self._file("room"))

    def mark_used(self, entry: str) -> bool:
        """Mark the entry as used until this process ends or releases it; True when it was not yet."""
        path = self._file(f"{entry}.use")
        with _marks_guard:
            if path in _marks:
                return False
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            _marks[path] = descriptor
            return True

    def release(self, entry: str) -> None:
        """Take this process's mark off the entry; harmless when there is none."""
        with _marks_guard:
            descriptor = _marks.pop(self._file(f"{entry}.use"), None)
        if descriptor is not None:
            os.close(descriptor)

    @contextmanager
    def unused(self, entry: str) -> Iterator[bool]:
        """Yield True while nobody uses the entry, and keep it so; False when somebody does."""
        descriptor = os.open(self._file(f"{entry}.use"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(descriptor)

    def _file(self, name: str) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory / name

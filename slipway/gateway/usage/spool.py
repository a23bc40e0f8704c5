"""The write-ahead spool: usage events on local disk, from before a request is answered until they are in S3.

Belongs here: segments, their files, what a torn one means.
Does not: shipping them (shipper.py).

A segment is a file of NDJSON lines named `<replica>-<uuid>.ndjson`. One is appended to, all others are
sealed and never change, so that shipping one again writes the same objects. Appending is one write(2) on an
O_APPEND file: it survives the death of this process, whenever that comes. A file is synced to disk when it
is sealed; the loss of the whole machine can cost what was appended since.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import uuid_utils

SUFFIX = ".ndjson"
_LOCK = "lock"
MAX_SEGMENT_BYTES = 16 * 2**20


class SpoolError(RuntimeError):
    """The spool cannot take an event or cannot be opened; the message names the directory and the remedy."""


@dataclass(frozen=True)
class Segment:
    """One file of events."""

    path: Path

    @property
    def replica(self) -> str:
        """The gateway replica that wrote it."""
        return self.path.stem.rsplit("-", 1)[0]

    @property
    def sequence(self) -> str:
        """Its unique part; ascending with time."""
        return self.path.stem.rsplit("-", 1)[1]

    def lines(self) -> list[bytes]:
        """Whole lines, newlines included. What follows the last newline was never acknowledged: it is cut."""
        return [line for line in self.path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


class Spool:
    """The spool in one directory. One process at a time; appending and sealing may be in two threads."""

    def __init__(self, directory: Path, replica: str) -> None:
        self._directory = directory
        self._replica = replica
        self._lock = threading.Lock()
        self._file: int | None = None
        self._active: Segment | None = None
        self._retired: list[int] = []  # files that take no more events and are not synced yet
        self._size_bytes = 0
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._guard = _lock_directory(directory)
        self._events = sum(len(segment.lines()) for segment in self._segments())

    @property
    def events(self) -> int:
        """Events in the spool."""
        return self._events

    def append(self, line: bytes) -> None:
        """Write one encoded event. When this returns, the event outlives this process. Raises SpoolError."""
        with self._lock:
            try:
                if self._file is None:
                    self._open_segment()
                self._write(line)
            except OSError as error:
                raise SpoolError(
                    f"spool {self._directory}: cannot write: {error}. Free space or mend the disk; "
                    "until then requests are answered with 503."
                ) from error
            self._events += 1
            if self._size_bytes >= MAX_SEGMENT_BYTES:
                self._retire()

    def seal(self) -> list[Segment]:
        """Close the segment in use, sync it to disk, and return all sealed ones, oldest first."""
        with self._lock:
            self._retire()
            retired, self._retired = self._retired, []
            # Listed under the lock: the next append opens a file that is not sealed.
            sealed = self._segments()
        # Outside the lock: a sync can take a while, and requests must not wait for it.
        for file in retired:
            os.fsync(file)
            os.close(file)
        return sealed

    def drop(self, segment: Segment, events: int, *, damaged: bool = False) -> None:
        """Forget a segment that is in S3; a damaged one is kept aside for a person to look at."""
        if damaged:
            segment.path.rename(segment.path.with_suffix(".damaged"))
        else:
            segment.path.unlink()
        with self._lock:
            self._events -= events

    def close(self) -> None:
        """Seal, and let another process have the directory."""
        self.seal()
        if self._guard is not None:
            os.close(self._guard)
            self._guard = None

    def _segments(self) -> list[Segment]:
        active = self._active.path if self._active else None
        segments = [Segment(path) for path in self._directory.glob(f"*{SUFFIX}") if path != active]
        return sorted(segments, key=lambda segment: segment.sequence)

    def _open_segment(self) -> None:
        path = self._directory / f"{self._replica}-{uuid_utils.uuid7().hex}{SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._active = Segment(path)
        self._size_bytes = 0

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes fit")
        except OSError:
            # Half a line would swallow the next one.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size_bytes)
            raise
        self._size_bytes += written

    def _retire(self) -> None:
        if self._file is not None:
            self._retired.append(self._file)
            self._file = None
            self._active = None


def _lock_directory(directory: Path) -> int | None:
    """Hold the directory for this process; the kernel lets go when the process ends, however it does."""
    handle = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise SpoolError(
            f"spool {directory}: another gateway uses it. Stop that one, or set SLIPWAY_GATEWAY_SPOOL."
        ) from error
    return handle

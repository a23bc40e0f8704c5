"""The write-ahead spool: usage events on local disk, from before a request is answered until they are in S3.

Belongs here: segments, their files, what a torn one means; room for the events of requests in flight, and
what becomes of those that a killed process left.
Does not: shipping them (shipper.py), the file in which room is kept (slots.py).

A segment is a file of NDJSON lines named `<replica>-<uuid>.ndjson`. One is appended to, all others are
sealed and never change, so that shipping one again writes the same objects. Appending is one write(2) on an
O_APPEND file: it survives the death of this process, whenever that comes. A file is synced to disk when it
is sealed; the loss of the whole machine can cost what was appended since.

Before a request is answered it has a slot, in which its event has room when no segment takes any more: it
stays there until one does. Meanwhile what an open stream has used is written there now and then, as the event
that counts if this process dies. The next one appends what it finds in slots and in no segment. So each
request has one event, and none needs room that is not there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import orjson
import uuid_utils

from slipway.gateway.telemetry import log
from slipway.gateway.usage.slots import Slots

SUFFIX = ".ndjson"
_IN_FLIGHT = "in-flight"
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
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._guard = _lock_directory(directory)
            self._events = sum(len(segment.lines()) for segment in self._segments())
            self._slots = Slots(directory / _IN_FLIGHT)
        except OSError as error:
            raise SpoolError(
                f"spool {directory}: cannot be opened: {error}. Free space, mend the disk, or set "
                "SLIPWAY_GATEWAY_SPOOL to a directory that this user can write."
            ) from error
        self._parked = self._left()  # events that are in a slot because no segment takes them
        self._events += len(self._parked)
        with contextlib.suppress(OSError):  # on a full disk they stay where they are
            self._append_parked()

    @property
    def events(self) -> int:
        """Events in the spool."""
        return self._events

    def reserve(self) -> Room:
        """Room for the event of a request that is to be served. Raises SpoolError when there is none."""
        with self._lock:
            try:
                self._append_parked()
                return Room(self, self._slots.take())
            except OSError as error:
                raise self._failed(error) from error

    def append(self, line: bytes) -> None:
        """Write one encoded event. When this returns, the event outlives this process. Raises SpoolError."""
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                raise self._failed(error) from error
            self._events += 1

    def save(self, slot: int, line: bytes) -> None:
        """Keep in a slot what counts if this process dies. Raises SpoolError."""
        try:
            self._slots.write(slot, line)
        except OSError as error:
            raise self._failed(error) from error

    def record(self, slot: int, line: bytes, *, saved: bool) -> None:
        """Write an event that has a slot, and let go of it. Raises SpoolError if the disk is broken."""
        with self._lock:
            try:
                self._append(line)
            except OSError:
                try:
                    self._slots.write(slot, line)
                except OSError as error:
                    raise self._failed(error) from error
                self._parked[slot] = line
            else:
                # Under the lock: the segment cannot be shipped and forgotten before the slot is empty.
                self._let_go(slot, saved=saved)
            self._events += 1

    def let_go(self, slot: int, *, saved: bool) -> None:
        """The request has no event."""
        with self._lock:
            self._let_go(slot, saved=saved)

    def seal(self) -> list[Segment]:
        """Close the segment in use, sync it to disk, and return all sealed ones, oldest first."""
        with self._lock:
            with contextlib.suppress(OSError):
                self._append_parked()
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
            self._slots.close()
            os.close(self._guard)
            self._guard = None

    def _left(self) -> dict[int, bytes]:
        """Events that a killed process left in slots, but for those that it had appended, too."""
        left = {}
        for slot, line in self._slots.left.items():
            identity = _request_id(line)
            if identity is None:
                log.write("error", "unreadable event of a request in flight", slot=slot)
            if identity is None or any(identity in segment.path.read_bytes() for segment in self._segments()):
                self._let_go(slot, saved=True)
            else:
                left[slot] = line
        return left

    def _append_parked(self) -> None:
        while self._parked:
            slot, line = next(iter(self._parked.items()))
            self._append(line)
            del self._parked[slot]
            self._let_go(slot, saved=True)

    def _let_go(self, slot: int, *, saved: bool) -> None:
        if saved:
            try:
                self._slots.clear(slot)
            except OSError as error:
                # Not taken again; the next start finds it, and its event in a segment.
                log.write("error", "a slot cannot be emptied", slot=slot, error=str(error))
                return
        self._slots.give_back(slot)

    def _append(self, line: bytes) -> None:
        if self._file is None:
            self._open_segment()
        self._write(line)
        if self._size_bytes >= MAX_SEGMENT_BYTES:
            self._retire()

    def _failed(self, error: OSError) -> SpoolError:
        return SpoolError(
            f"spool {self._directory}: cannot write: {error}. Free space or mend the disk; "
            "until then requests are answered with 503."
        )

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


class Room:
    """What one request in flight has in a spool: its event has room, and what it used so far is kept."""

    __slots__ = ("_saved", "_slot", "_spool")

    def __init__(self, spool: Spool, slot: int) -> None:
        self._spool = spool
        self._slot: int | None = slot
        self._saved = False

    def save(self, line: bytes) -> None:
        """The event that counts if this process dies before `record`. Raises SpoolError."""
        if self._slot is not None:
            self._saved = True
            self._spool.save(self._slot, line)

    def record(self, line: bytes) -> None:
        """The request's event; the room is used up. Raises SpoolError if the disk is broken."""
        assert self._slot is not None
        slot, self._slot = self._slot, None
        self._spool.record(slot, line, saved=self._saved)

    def let_go(self) -> None:
        """The room is not needed any more; harmless twice, and after `record`."""
        if self._slot is not None:
            slot, self._slot = self._slot, None
            self._spool.let_go(slot, saved=self._saved)


def _request_id(line: bytes) -> bytes | None:
    """The id of an encoded event; None for what is none."""
    try:
        identity = orjson.loads(line)["request_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return identity.encode() if isinstance(identity, str) and identity else None


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

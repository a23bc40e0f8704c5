"""Reading byte ranges over HTTP, checked against what was asked for.

Belongs here: one ranged GET into a buffer, and what each wrong answer means.
Does not: choosing the URL and its credentials (slipway.artifacts.sources), or trying again (transfer.py).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from slipway.artifacts.errors import AccessError, CorruptFileError, SourceError
from slipway.artifacts.source import Count, SourceFile
from slipway.artifacts.transfer.connections import Connections, cause, hand_back, origin
from slipway.artifacts.transfer.retry import TransientError, may_pass

T = TypeVar("T")

_CHUNK_BYTES = 2**20
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-(\d+)/(\d+|\*)$")


@dataclass(frozen=True)
class Door:
    """Where a file is read, and what lets us in.

    `linked`: the URL itself is the credential and may expire. `remedy`: what to do when we are refused.
    `stale`: what to do when the file is gone or another. `etag`: the entity tag that it was listed with.
    """

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    linked: bool
    remedy: str
    stale: str = "Pin another commit."
    etag: str | None = None


class Links(Generic[T]):
    """Where files lie, such as signed links: kept until one is refused. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: dict[str, T] = {}

    def of(self, path: str, ask: Callable[[], T]) -> T:
        """The link that is known for a path, or the one that `ask` gets for it now."""
        with self._lock:
            known = self._links.get(path)
        if known is None:
            known = ask()
            with self._lock:
                self._links[path] = known
        return known

    def forget(self, path: str) -> None:
        """Drop a link: it may have expired."""
        with self._lock:
            self._links.pop(path, None)


class RangedReader:
    """Connections to the servers that hold a snapshot's content. Safe to share between threads."""

    def __init__(self, name: str, connections: Connections | None = None) -> None:
        self._name = name
        self._connections = connections or Connections()

    def read_into(self, door: Door, file: SourceFile, offset: int, buffer: memoryview, count: Count) -> None:
        """Fill the buffer with the file's bytes from `offset` on.

        Raises TransientError (network, 429, 5xx, an expired link, a short body), AccessError, SourceError
        (gone, or another than was listed) or CorruptFileError (the server's sizes contradict the listing).
        """
        import urllib3

        if not len(buffer):
            return
        what = f"{self._name} file {file.path}"
        last = offset + len(buffer) - 1
        asked = {**door.headers, "Accept-Encoding": "identity", "Range": f"bytes={offset}-{last}"}
        if door.etag:
            asked["If-Match"] = door.etag
        try:
            reply: Any = self._connections.to(door.url).request(
                "GET", door.url, headers=asked, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{what}: {origin(door.url)} did not answer: {cause(error)}.") from error
        try:
            _judge(what, door, reply)
            _check_extent(what, reply.status, reply.headers, file, offset, len(buffer))
            _fill(what, reply, buffer, count)
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{what}: {origin(door.url)} broke off: {cause(error)}.") from error
        finally:
            hand_back(reply)


def _judge(what: str, door: Door, reply: Any) -> None:
    """Raise unless the answer is a success."""
    status, headers = reply.status, reply.headers
    # Where a hub redirects to, a signature was refused, and not our token: that stayed at the hub.
    linked = door.linked or (reply.retries is not None and bool(reply.retries.history))
    if may_pass(status):
        raise TransientError.answered(f"{what}: the server answered {status}.", headers)
    if status in {401, 403, 410} and linked:
        raise TransientError(f"{what}: the server answered {status}; the link may have expired.")
    if status in {401, 403}:
        gated = (
            "the repository is gated" if headers.get("X-Error-Code") == "GatedRepo" else f"refused ({status})"
        )
        raise AccessError(f"{what}: {gated}. {door.remedy}")
    if status == 404:
        raise SourceError(f"{what}: was listed, but is gone. {door.stale}")
    if status == 412 or (door.etag and headers.get("ETag", door.etag) != door.etag):
        raise SourceError(f"{what}: changed between listing and reading. {door.stale}")
    if status not in {200, 206}:
        raise SourceError(f"{what}: the server answered {status} to a ranged read.")


def _check_extent(what: str, status: int, headers: Any, file: SourceFile, offset: int, length: int) -> None:
    """Raise unless the answer holds the bytes that were asked for, of a file as large as it was listed."""
    start, total = _extent(status, headers, file)
    if start != offset or total != file.size_bytes:
        raise CorruptFileError(
            f"{what}: asked for byte {offset} of {file.size_bytes}, got byte {start} of {total}. "
            "Nothing was published. Check the server, or pin another commit."
        )
    if int(headers.get("Content-Length", length)) < length:
        raise TransientError(f"{what}: asked for {length} bytes, got {headers['Content-Length']}.")


def _extent(status: int, headers: Any, file: SourceFile) -> tuple[int, int]:
    """(first byte, size of the whole file) by the headers; a server may ignore Range and send all."""
    if status == 200:
        return 0, int(headers.get("Content-Length", file.size_bytes))
    extent = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
    if not extent:
        return -1, -1
    return int(extent[1]), file.size_bytes if extent[3] == "*" else int(extent[3])


def _fill(what: str, reply: Any, buffer: memoryview, count: Count) -> None:
    at = 0
    try:
        while at < len(buffer):
            piece = reply.read(min(_CHUNK_BYTES, len(buffer) - at), decode_content=False)
            if not piece:
                raise TransientError(f"{what}: {at} of {len(buffer)} bytes came.")
            buffer[at : at + len(piece)] = piece
            at += len(piece)
            count(len(piece))
    except BaseException:
        count(-at)  # this attempt's bytes will come again
        raise

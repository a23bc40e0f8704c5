"""Reading byte ranges over HTTP, checked against what was asked for.

Belongs here: one ranged GET into a buffer, and what each wrong answer means.
Does not: choosing the URL and its credentials (slipway.artifacts.sources), or trying again (transfer.py).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from slipway.artifacts.errors import AccessError, CorruptFileError, SourceError
from slipway.artifacts.source import Count, SourceFile
from slipway.artifacts.transfer.connections import Connections, cause, hand_back, origin
from slipway.artifacts.transfer.pace import Pace, Paced
from slipway.artifacts.transfer.retry import TransientError, may_pass
from slipway.artifacts.transfer.whole import WholeStream

T = TypeVar("T")

# Read as they come, and no more at a time: it costs least.
_CHUNK_BYTES = 2**18
_CODE_WITHIN_BYTES = 2**12
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
# What stores answer to a link that has expired: AWS 403 and 400 ExpiredToken, others as if it were not there.
_OF_LINKS = frozenset({400, 401, 403, 404, 410})
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

    def __init__(
        self,
        name: str,
        connections: Connections | None = None,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._connections = connections or Connections()
        self._pace = pace or Pace()
        self._clock = clock
        self._lock = threading.Lock()
        self._whole: dict[str, WholeStream] = {}

    def read_into(self, door: Door, file: SourceFile, offset: int, buffer: memoryview, count: Count) -> None:
        """Fill the buffer with the file's bytes from `offset` on.

        What was counted stays in the buffer when this fails, so the next attempt may go on behind it. Raises
        TransientError (network, 429, 5xx, an expired link, a short or slow body), AccessError, SourceError
        (gone, or another than was listed) or CorruptFileError (the server's sizes contradict the listing).
        """
        if not len(buffer):
            return
        what = f"{self._name} file {file.path}"
        whole = self._whole_stream(file.path)
        if whole is None:
            reply = self._asked(what, door, file, offset, len(buffer))
            if reply.status != 200 or (offset == 0 and len(buffer) == file.size_bytes):
                try:
                    self._fill(what, door, reply, buffer, count)
                finally:
                    hand_back(reply)
                return
            reply.close()
            whole = self._ignores_ranges(file.path)
        whole.read_into(
            offset,
            buffer,
            lambda: self._asked(what, door, file, 0, file.size_bytes),
            lambda reply, piece: self._fill(what, door, reply, piece, count),
            lambda reply, piece: self._fill(what, door, reply, piece, _drop),
        )

    def _whole_stream(self, path: str) -> WholeStream | None:
        with self._lock:
            return self._whole.get(path)

    def _ignores_ranges(self, path: str) -> WholeStream:
        with self._lock:
            return self._whole.setdefault(path, WholeStream())

    def _asked(self, what: str, door: Door, file: SourceFile, offset: int, length: int) -> Any:
        """An answer that holds these bytes, its body unread; it may hold the whole file instead."""
        asked = {
            **door.headers,
            "Accept-Encoding": "identity",
            "Range": f"bytes={offset}-{offset + length - 1}",
        }
        if door.etag:
            asked["If-Match"] = f'"{bare_etag(door.etag)}"'
        reply = self._get(what, door, asked)
        if reply.status == 412 and asked.pop("If-Match", None):
            # Stores that quote entity tags in one place and not in the other compare them as text.
            reply.close()
            reply = self._get(what, door, asked)
            if "ETag" not in reply.headers:
                reply.close()
                raise _changed(what, door)
        try:
            _judge(what, door, reply)
            _check_extent(what, reply.status, reply.headers, file, offset, length)
        except BaseException:
            hand_back(reply)
            raise
        return reply

    def _get(self, what: str, door: Door, headers: dict[str, str]) -> Any:
        import urllib3

        try:
            return self._connections.to(door.url).request(
                "GET", door.url, headers=headers, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{what}: {origin(door.url)} did not answer: {cause(error)}.") from error

    def _fill(self, what: str, door: Door, reply: Any, buffer: memoryview, count: Count) -> None:
        import urllib3

        at, paced = 0, Paced(self._pace, self._clock)
        try:
            while at < len(buffer):
                piece = reply.read1(min(_CHUNK_BYTES, len(buffer) - at), decode_content=False)
                if not piece:
                    raise TransientError(f"{what}: {at} of {len(buffer)} bytes came.")
                buffer[at : at + len(piece)] = piece
                at += len(piece)
                count(len(piece))
                paced.moved(len(piece), f"{what}: from {origin(door.url)}")
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{what}: {origin(door.url)} broke off: {cause(error)}.") from error


def bare_etag(etag: str) -> str:
    """An entity tag without the quotes and the mark of weakness that some answers give it and others not."""
    return etag.removeprefix("W/").strip('"')


def _judge(what: str, door: Door, reply: Any) -> None:
    """Raise unless the answer is a success."""
    status, headers = reply.status, reply.headers
    # Where a hub redirects to, a signature was refused, and not our token: that stayed at the hub.
    linked = door.linked or (reply.retries is not None and bool(reply.retries.history))
    if may_pass(status):
        raise TransientError.answered(f"{what}: the server answered {status}.", headers)
    if status in _OF_LINKS and linked:
        raise TransientError(
            f"{what}: the server answered {_words(reply)}; the link may have expired.",
            passing=False,
            lasting=_gone(what, door) if status in {404, 410} else None,
        )
    if status in {401, 403}:
        gated = (
            "the repository is gated" if headers.get("X-Error-Code") == "GatedRepo" else f"refused ({status})"
        )
        raise AccessError(f"{what}: {gated}. {door.remedy}")
    if status == 404:
        raise _gone(what, door)
    if status == 412 or (door.etag and bare_etag(headers.get("ETag", door.etag)) != bare_etag(door.etag)):
        raise _changed(what, door)
    if status not in {200, 206}:
        raise SourceError(
            f"{what}: the server answered {_words(reply)} to a ranged read. "
            "Nothing was published. Check the server, or pin another commit."
        )
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise SourceError(
            f"{what}: {origin(door.url)} answers with Content-Encoding {encoding}, though plain bytes were "
            "asked for. Let the proxy before it pass them on as they are."
        )


def _gone(what: str, door: Door) -> SourceError:
    return SourceError(f"{what}: was listed, but is gone. {door.stale}")


def _changed(what: str, door: Door) -> SourceError:
    return SourceError(f"{what}: changed between listing and reading. {door.stale}")


def _words(reply: Any) -> str:
    """The status, and the error code of S3's kind in the beginning of the body, if any."""
    code = _ERROR_CODE.search(reply.read(_CODE_WITHIN_BYTES, decode_content=False) or b"")
    return f"{reply.status} {code[1].decode()}" if code else str(reply.status)


def _check_extent(what: str, status: int, headers: Any, file: SourceFile, offset: int, length: int) -> None:
    """Raise unless the answer holds the bytes that were asked for, of a file as large as it was listed."""
    announced = _number(headers.get("Content-Length"))
    if status == 200:
        # A server may ignore Range and send all.
        start, total, needed = 0, announced if announced is not None else file.size_bytes, file.size_bytes
        offset = 0
    else:
        start, total = _extent(headers, file)
        needed = length
    if start != offset or total != file.size_bytes:
        raise CorruptFileError(
            f"{what}: asked for byte {offset} of {file.size_bytes}, got byte {start} of {total}. "
            "Nothing was published. Check the server, or pin another commit."
        )
    if announced is not None and announced < needed:
        raise TransientError(f"{what}: asked for {needed} bytes, got {announced}.")


def _extent(headers: Any, file: SourceFile) -> tuple[int, int]:
    """(first byte, size of the whole file) by Content-Range."""
    extent = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
    if not extent:
        return -1, -1
    return int(extent[1]), file.size_bytes if extent[3] == "*" else int(extent[3])


def _number(header: str | None) -> int | None:
    return int(header) if header and header.isascii() and header.isdigit() else None


def _drop(size_bytes: int) -> None:
    """Count nobody: bytes that are skipped are not the file's progress."""

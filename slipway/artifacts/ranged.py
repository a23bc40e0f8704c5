"""Reading byte ranges over HTTP, checked against what was asked for.

Belongs here: one ranged GET into a buffer, and what each wrong answer means.
Does not: choosing the URL and its credentials (hub.py), or trying again (transfer.py).
"""

from __future__ import annotations

import re
import threading
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from slipway.artifacts.errors import AccessError, CorruptFileError, SourceError
from slipway.artifacts.retry import TransientError, retry_after_s
from slipway.artifacts.source import Count, SourceFile

if TYPE_CHECKING:
    import urllib3

_CHUNK_BYTES = 2**20
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-(\d+)/(\d+|\*)$")


@dataclass(frozen=True)
class Door:
    """Where a file is read, and what lets us in.

    `linked`: the URL itself is the credential and may expire. `remedy`: what to do when we are refused.
    """

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    linked: bool
    remedy: str


class RangedReader:
    """Connections to the servers that hold a snapshot's content. Safe to share between threads."""

    def __init__(self, name: str, *, connections: int = 16) -> None:
        self._name = name
        self._connections = connections
        self._lock = threading.Lock()
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    def read_into(self, door: Door, file: SourceFile, offset: int, buffer: memoryview, count: Count) -> None:
        """Fill the buffer with the file's bytes from `offset` on.

        Raises TransientError (network, 429, 5xx, an expired link, a short body), AccessError, SourceError
        (gone) or CorruptFileError (the server's sizes contradict the listing).
        """
        import urllib3

        if not len(buffer):
            return
        what = f"{self._name} file {file.path}"
        last = offset + len(buffer) - 1
        asked = {**door.headers, "Accept-Encoding": "identity", "Range": f"bytes={offset}-{last}"}
        try:
            reply: Any = self._pool(door.url).request("GET", door.url, headers=asked, preload_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{what}: {_host(door.url)} did not answer: {_cause(error)}.") from error
        try:
            _judge(what, door, reply.status, reply.headers)
            _check_extent(what, reply.status, reply.headers, file, offset, len(buffer))
            _fill(what, reply, buffer, count)
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"{what}: {_host(door.url)} broke off: {_cause(error)}.") from error
        finally:
            # A connection with unread bytes must not be used again.
            reply.release_conn() if reply.length_remaining == 0 else reply.close()

    def _pool(self, url: str) -> urllib3.PoolManager:
        """The pool for this URL: through the proxy that the environment names, if it names one."""
        import urllib3

        parts = urlsplit(url)
        bypassed = urllib.request.proxy_bypass(parts.hostname or "")
        proxy = None if bypassed else urllib.request.getproxies().get(parts.scheme)
        with self._lock:
            if proxy not in self._pools:
                # Redirects are followed, without the Authorization header where the host changes. Trying
                # again is the caller's, who knows which bytes it still needs.
                settings: dict[str, Any] = {
                    "maxsize": self._connections,
                    "timeout": urllib3.Timeout(connect=10, read=30),
                    "retries": urllib3.Retry(
                        total=None,
                        connect=0,
                        read=0,
                        redirect=5,
                        status=0,
                        other=0,
                        respect_retry_after_header=False,
                    ),
                }
                self._pools[proxy] = (
                    urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)
                )
            return self._pools[proxy]


def _judge(what: str, door: Door, status: int, headers: Any) -> None:
    """Raise unless the answer is a success."""
    if status == 429 or status >= 500:
        wait = retry_after_s(headers.get("Retry-After"), datetime.now(UTC))
        raise TransientError(f"{what}: the server answered {status}.", wait)
    if status in {401, 403, 410} and door.linked:
        raise TransientError(f"{what}: the server answered {status}; the link may have expired.")
    if status in {401, 403}:
        gated = (
            "the repository is gated" if headers.get("X-Error-Code") == "GatedRepo" else f"refused ({status})"
        )
        raise AccessError(f"{what}: {gated}. {door.remedy}")
    if status == 404:
        raise SourceError(f"{what}: was listed, but is gone. Pin another commit.")
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
    found = _CONTENT_RANGE.match(headers.get("Content-Range", ""))
    if not found:
        return -1, -1
    return int(found[1]), file.size_bytes if found[3] == "*" else int(found[3])


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


def _cause(error: Exception) -> object:
    """The cause without the URL that urllib3 puts into its message: it may hold a signature."""
    return getattr(error, "reason", None) or error


def _host(url: str) -> str:
    """Scheme, host and port alone: what follows may be a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

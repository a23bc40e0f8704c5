"""Asking an engine with a body in one piece, by a connection of the connector: aiohttp without its session.

Belongs here: the bytes of such a request, and its answer as far as it is one (head, body as it comes, its
connection). Does not: connections (connections.py), retries and what an answer means (upstream.py), bodies
that are on their way (slipway.gateway.request.outgoing): for these there is the session.

A session builds every request and answer from what may be anything; here all but a few headers is the same
each time. It was a fifth of the gateway's CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy
from yarl import URL

from slipway.gateway.routing.connections import WarmConnector

# As the session's.
_READ_BUFFER_BYTES = 2**16
_LONGEST_LINE_BYTES = 8_190
_MOST_HEADERS = 128
# Engines come and go with revisions.
_MOST_TARGETS = 4_096
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
_SKIPPED = ("User-Agent", "Accept")
_OF_THIS_BODY = frozenset({"content-length", "transfer-encoding", "content-type"})


class Answer(Protocol):
    """What the stages use of an engine's answer; aiohttp's ClientResponse has it, too."""

    @property
    def status(self) -> int:
        """Of HTTP."""
        ...

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """As the engine sent them."""
        ...

    @property
    def content_type(self) -> str:
        """Without parameters."""
        ...

    @property
    def content_length(self) -> int | None:
        """Where it says so."""
        ...

    @property
    def content(self) -> aiohttp.StreamReader:
        """Its body as it comes."""
        ...

    @property
    def connection(self) -> Connection | None:
        """None once it has been let go of."""
        ...

    async def read(self) -> bytes:
        """All of its body."""
        ...

    def close(self) -> None:
        """Let go of it; a body still coming is broken off."""
        ...


class Plain:
    """Asks engines over one connector."""

    def __init__(self, connector: WarmConnector, timeout: aiohttp.ClientTimeout) -> None:
        self._connector = connector
        self._timeout = timeout
        self._targets: dict[str, tuple[aiohttp.ClientRequest, bytes]] = {}

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], silence_s: float, sent: Callable[[], None]
    ) -> PlainAnswer:
        """Send it whole, tell so, and return when an answer begins.

        Raises aiohttp.ClientError and TimeoutError.
        """
        request, head = self._targets.get(url) or self._target(url)
        try:
            connection = await self._connector.connect(request, [], self._timeout)
        except aiohttp.ClientError:
            raise
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError("no connection in time") from error
        except OSError as error:
            raise aiohttp.ClientOSError(*error.args) from error
        try:
            _send(connection, head, body, headers, silence_s)
            sent()
            return await _answer(connection)
        except BaseException:
            connection.close()
            raise

    def _target(self, url: str) -> tuple[aiohttp.ClientRequest, bytes]:
        """What all requests to a URL share: where it goes, and its head but for the headers of each."""
        request = aiohttp.ClientRequest("POST", URL(url), headers=_HEADERS, skip_auto_headers=_SKIPPED)
        shared = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THIS_BODY}
        lines = [f"POST {request.url.raw_path_qs} HTTP/1.1", *(f"{name}: {shared[name]}" for name in shared)]
        if len(self._targets) >= _MOST_TARGETS:
            self._targets.clear()
        self._targets[url] = request, "".join(f"{line}\r\n" for line in lines).encode()
        return self._targets[url]


def _send(
    connection: Connection, head: bytes, body: bytes, headers: dict[str, str], silence_s: float
) -> None:
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    protocol.set_response_params(
        read_until_eof=True,
        read_timeout=silence_s,
        read_bufsize=_READ_BUFFER_BYTES,
        max_line_size=_LONGEST_LINE_BYTES,
        max_field_size=_LONGEST_LINE_BYTES,
        max_headers=_MOST_HEADERS,
    )
    said = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    transport.write(b"%b%bContent-Length: %d\r\n\r\n%b" % (head, said.encode(), len(body), body))
    protocol.start_timeout()


async def _answer(connection: Connection) -> PlainAnswer:
    protocol = connection.protocol
    if protocol is None:
        raise aiohttp.ServerDisconnectedError
    while True:
        try:
            message, content = await protocol.read()
        except HttpProcessingError as error:
            raise aiohttp.ClientPayloadError(f"no HTTP: {error.code}") from error
        if not 100 <= message.code < 200 or message.code == 101:
            return PlainAnswer(message.code, message.headers, content, connection)


class PlainAnswer:
    """An answer that has begun. Its connection goes back to the connector when its body has ended."""

    __slots__ = ("connection", "content", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: CIMultiDictProxy[str],
        content: aiohttp.StreamReader,
        connection: Connection,
    ) -> None:
        self.status = status
        self.headers = headers
        self.content = content
        self.connection: Connection | None = connection
        content.on_eof(self._release)

    @property
    def content_type(self) -> str:
        """See Answer."""
        said = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return said or "application/octet-stream"

    @property
    def content_length(self) -> int | None:
        """See Answer."""
        length = self.headers.get("Content-Length")
        return int(length) if length is not None else None

    async def read(self) -> bytes:
        """See Answer."""
        return await self.content.read()

    def close(self) -> None:
        """See Answer."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
            if not self.content.is_eof() and self.content.exception() is None:
                self.content.set_exception(aiohttp.ClientConnectionError("Connection closed"))

    def _release(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.release()

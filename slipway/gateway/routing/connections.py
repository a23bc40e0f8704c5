"""Connections to engines that are open before they are needed.

Belongs here: the connector, and what its connections make of answers that are no HTTP.
Does not: which engine a request goes to (upstream.py).
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection

# An engine that closes its end after an answer has done so by then.
_CLOSED_BY_THEN_S = 0.01


class _TellingHandler(ResponseHandler):
    """Tells who reads an answer's body when what comes is no HTTP any more.

    aiohttp's own closes the connection and its time-out then, and lets the reader wait for ever.
    """

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """As the base class does; the body has that end, too."""
        payload = self._payload
        super().set_exception(exc, *cause)
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            # One of its own, such as a time-out, stays what it is.
            told = exc if isinstance(exc, aiohttp.ClientError) else None
            payload.set_exception(told or aiohttp.ClientPayloadError(f"{type(exc).__name__}: {exc}"))

    def connection_lost(self, exc: BaseException | None) -> None:
        """As the base class does; wakes a reader that was just awake when it was told, and waits again."""
        payload = self._payload
        super().connection_lost(exc)
        if payload is not None and not payload.is_eof() and (fault := payload.exception()) is not None:
            payload.set_exception(fault)


class WarmConnector(aiohttp.TCPConnector):
    """Opens a connection again that an engine has closed after its answer, as llama.cpp does after streams.

    Connecting is a third of what the gateway adds to a first byte (bench/gateway.py), so it is done between
    requests. Where connections are kept, the one that is there is found and nothing is opened.
    """

    def __init__(self, *, connect_timeout_s: float, **options: Any) -> None:
        super().__init__(**options)
        handler: type[ResponseHandler] = _TellingHandler
        self._factory = functools.partial(handler, loop=asyncio.get_running_loop())
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
        self._used: dict[ConnectionKey, aiohttp.ClientRequest] = {}
        self._warming: asyncio.Task[None] | None = None

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """As the base class does; notes which engine was used."""
        self._used[req.connection_key] = req
        return await super().connect(req, traces, timeout)

    def warm(self) -> None:
        """Soon have an open connection to each engine that was used since; one try at a time."""
        if self._warming is None or self._warming.done():
            self._warming = asyncio.create_task(self._warm())

    async def _warm(self) -> None:
        await asyncio.sleep(_CLOSED_BY_THEN_S)
        used, self._used = self._used, {}
        for request in used.values():
            if self.closed:
                return
            try:
                connection = await super().connect(request, [], self._timeout)
            except Exception:  # noqa: BLE001, S112 - the next request will find out, and say so
                continue
            connection.release()

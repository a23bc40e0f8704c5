"""How long an engine may say nothing in the middle of an answer.

Belongs here: one timer for all of an answer. Does not: what becomes of the request then (forward.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import aiohttp

from slipway.gateway.routing.plain import Answer


class Silence:
    """Breaks off a stream whose engine says nothing for too long: one timer for all of it.

    aiohttp's own starts anew with each piece. Only the time that is waited for the engine counts, not that in
    which the client takes nothing.
    """

    __slots__ = ("_content", "_limit_s", "_loop", "_since", "_timer")

    def __init__(self, response: Answer, limit_s: float) -> None:
        if response.connection is not None and response.connection.protocol is not None:
            response.connection.protocol.read_timeout = None
        self._content = response.content
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer = self._loop.call_later(limit_s, self._look)

    def begins(self) -> None:
        """From now on the engine is waited for."""
        self._since = self._loop.time()

    def ends(self) -> None:
        """It said something."""
        self._since = None

    async def of(self, awaited: Awaitable[bytes]) -> bytes:
        """What the engine says next; it is waited for."""
        self.begins()
        try:
            return await awaited
        finally:
            self.ends()

    def stop(self) -> None:
        """The stream is over."""
        self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        if self._since is None:
            self._timer = self._loop.call_later(self._limit_s / 4, self._look)
        elif now < self._since + self._limit_s:
            self._timer = self._loop.call_at(self._since + self._limit_s, self._look)
        else:
            self._content.set_exception(aiohttp.SocketTimeoutError("the engine is silent"))

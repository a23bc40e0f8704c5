"""BodyMemory for request bodies that are large: as much memory as there is, and the loop not held for long.

Belongs here: who waits, for how long, and who goes next.
Does not: how fast a client sends (slipway.gateway.protocol), reading a body (asgi.py).

A body of JSON takes several times its length while it is parsed, looked at and written again, and the loop
does nothing else meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, MutableMapping
from typing import Any

from slipway.gateway.api.asgi import MAX_BODY_BYTES, Receive, too_large
from slipway.gateway.api.errors import ApiError, Header, invalid

# Those that uvicorn holds of any request anyway are not counted.
SMALL_BYTES = 64 * 1024
# A value of JSON takes up to a hundred times its bytes, and the loop for as long. So many opened objects and
# lists, and so many values, are beyond any model's context, also where they are in a text.
MAX_OPENED = 250_000
MAX_COMMAS = 2_000_000
_PATIENCE_S = 30.0
# One after the other, and after each this long something else.
_PAUSE_S_PER_BYTE = 5e-3 / 2**20


class BodyMemory:
    """How many bytes of large bodies one replica holds, of all orgs and of one; the rest waits in order."""

    def __init__(
        self, total_bytes: int, *, largest_bytes: int = MAX_BODY_BYTES, patience_s: float = _PATIENCE_S
    ) -> None:
        self._total_bytes = max(total_bytes, largest_bytes)
        # No org takes all of it, however slowly it sends.
        self._org_bytes = max(total_bytes // 2, largest_bytes)
        self._patience_s = patience_s
        self._used: Counter[str] = Counter()
        self._waiting: deque[tuple[str, int, asyncio.Future[None]]] = deque()
        self._turn = asyncio.Lock()

    @property
    def used_bytes(self) -> int:
        """What is taken."""
        return self._used.total()

    async def take(self, org: str, size_bytes: int) -> None:
        """Have so much, when it is there. Raises ApiError (503) when it is not for long."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (org, size_bytes, granted)
        self._waiting.append(place)
        self._grant()
        try:
            async with asyncio.timeout(self._patience_s):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():  # granted just as it was given up
                self.give_back(org, size_bytes)
            else:
                self._waiting.remove(place)
                self._grant()
            if isinstance(error, TimeoutError):
                raise busy() from error
            raise

    def give_back(self, org: str, size_bytes: int) -> None:
        """It is free again."""
        self._used[org] -= size_bytes
        if not self._used[org]:
            del self._used[org]
        self._grant()

    async def turn(self, size_bytes: int) -> None:
        """Wait until a large body may be parsed: between two of them the loop does what else there is."""
        async with self._turn:
            await asyncio.sleep(size_bytes * _PAUSE_S_PER_BYTE)

    def _fits(self, org: str, size_bytes: int) -> bool:
        of_org = self._used.get(org, 0) + size_bytes
        return self.used_bytes + size_bytes <= self._total_bytes and of_org <= self._org_bytes

    def _grant(self) -> None:
        """To all that fit, in order; one whose org has its share lets others pass."""
        for place in list(self._waiting):
            org, size_bytes, granted = place
            if granted.done():
                continue
            if self._fits(org, size_bytes):
                self._waiting.remove(place)
                self._used[org] += size_bytes
                granted.set_result(None)
            elif self.used_bytes + size_bytes > self._total_bytes:
                return


class Upload:
    """The body of one request: ASGI's `receive`, which waits for memory where the body is large."""

    __slots__ = (
        "_commas",
        "_complete",
        "_length",
        "_memory",
        "_opened",
        "_org",
        "_receive",
        "_received",
        "_taken",
    )

    def __init__(self, receive: Receive, headers: Iterable[Header], org: str, memory: BodyMemory) -> None:
        self._receive = receive
        self._length = content_length(headers)
        self._org = org
        self._memory = memory
        self._received = self._taken = self._opened = self._commas = 0
        self._complete = False

    async def __call__(self) -> MutableMapping[str, Any]:
        """The next message. Raises ApiError: 413, and 503 when there is no memory for it."""
        if self._complete:
            return await self._receive()
        if self._length > SMALL_BYTES and not self._taken:
            if self._length > MAX_BODY_BYTES:
                raise too_large()
            await self._take(self._length)
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._received > SMALL_BYTES:
            self._count(message.get("body", b""))
            if not self._taken:  # in chunks: who knows how many
                await self._take(MAX_BODY_BYTES)
            if self._complete:
                await self._memory.turn(self._received)
        return message

    def close(self) -> None:
        """The request has ended, and nothing of the body is left. Harmless twice."""
        taken, self._taken = self._taken, 0
        if taken:
            self._memory.give_back(self._org, taken)

    def _count(self, part: bytes) -> None:
        self._opened += part.count(b"{") + part.count(b"[")
        self._commas += part.count(b",")
        if self._opened > MAX_OPENED or self._commas > MAX_COMMAS:
            raise invalid(
                f"The request body has more than {MAX_OPENED} braces and brackets, or {MAX_COMMAS} commas.",
                None,
                status=413,
            )

    async def _take(self, size_bytes: int) -> None:
        await self._memory.take(self._org, size_bytes)
        self._taken = size_bytes


def content_length(headers: Iterable[Header]) -> int:
    """What the client announces; 0 where it does not. The parser has refused what is no number."""
    return int(header_of(headers, b"content-length") or 0)


def header_of(headers: Iterable[Header], wanted: bytes) -> bytes:
    """The value of a header, by its name in small letters; nothing where it is not there."""
    return next((value for name, value in headers if name == wanted), b"")


def busy() -> ApiError:
    """There is no room for a body, in memory or on disk."""
    return ApiError(
        503,
        "server_error",
        "gateway_busy",
        "The gateway has no room for another request of this size. Try again shortly.",
        headers=((b"retry-after", b"1"),),
    )

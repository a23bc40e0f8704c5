"""A client that sends bytes as they are, and reads an answer as strictly as HTTP says.

Belongs here: one connection. Does not: what is sent (requests.py), what an answer must be (judging.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from testbed.fuzz.requests import Sent

_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `status` 0 where nothing did, `is_whole` where its end was seen."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool


NOTHING = Answer(0, {}, b"", is_whole=False)


class Connection:
    """One client, which connects again where it must."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, sent: Sent) -> Answer:
        """Send a request and read the answer, or hang up before its end."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._exchange(sent)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self.close()
            return NOTHING

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._reader = self._writer = None

    async def _exchange(self, sent: Sent) -> Answer:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        self._writer.write(sent.raw)
        if not sent.is_http:
            with contextlib.suppress(OSError):
                self._writer.write_eof()  # what would be waited for does not come
        if sent.hangs_up is not None:
            if sent.hangs_up:
                await self._reader.read(sent.hangs_up)
            self.close()
            return NOTHING
        answer = await _read(self._reader, may_break=sent.may_be_sound)
        if not sent.is_http or answer.headers.get("connection") == "close":
            self.close()
        return answer


async def _read(reader: asyncio.StreamReader, *, may_break: bool) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    parts: list[bytes] = []
    if headers.get("transfer-encoding") != "chunked":
        return await _of_length(reader, status, headers, may_break=may_break)
    try:
        while length := int(await reader.readuntil(b"\r\n"), 16):
            parts.append((await reader.readexactly(length + 2))[:-2])
        await reader.readexactly(2)
    except (OSError, asyncio.IncompleteReadError):
        return Answer(status, {**headers, "connection": "close"}, b"".join(parts), is_whole=False)
    return Answer(status, headers, b"".join(parts), is_whole=True)


async def _of_length(
    reader: asyncio.StreamReader, status: int, headers: dict[str, str], *, may_break: bool
) -> Answer:
    try:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except (OSError, asyncio.IncompleteReadError):
        if not may_break:
            raise
        return Answer(status, {**headers, "connection": "close"}, b"", is_whole=False)
    return Answer(status, headers, body, is_whole=True)

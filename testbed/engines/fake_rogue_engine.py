"""A fake engine that answers wrongly, in a way that depends on the request and a seed alone.

Belongs here: connections: reading requests, sending pieces, hanging up, being silent.
Does not: what is sent (fake_rogue_answers.py).
"""

from __future__ import annotations

import asyncio
import random
import re
import zlib
from types import TracebackType
from typing import Self

from testbed.engines import fake_rogue_answers, fake_rogue_bodies, fake_rogue_sounds

_SILENT_S = 1.0
_BOUNDARY = re.compile(rb"slipway-[0-9a-f]{32}")  # of the gateway's forms: chance, and no part of the request


class FakeRogueEngine:
    """Serves on a free port of loopback, in the loop that enters it.

    Some answers come in pieces, some are cut off, and after some it is silent.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.answered = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()

    @property
    def url(self) -> str:
        """As a client's `base_url`."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the gateway hung up, or the engine ends
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow on this connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        is_sound = b" /v1/audio/" in head
        if is_sound and zlib.crc32(head) % 16 == 0:
            return False  # before it has read the body
        body = await _body(reader, head)
        self.answered += 1
        rng = random.Random(zlib.crc32(_BOUNDARY.sub(b"", body)) ^ self.seed)
        if is_sound:
            raw = fake_rogue_sounds.answer(rng, is_spoken=b"/speech" in head)
        else:
            path, streamed = head.split(b" ")[1].decode("latin-1"), b'"stream":true' in body
            if path in fake_rogue_bodies.PATHS:
                raw = fake_rogue_bodies.answer(rng, path, streamed=streamed)
            else:
                raw = fake_rogue_answers.answer(rng, streamed=streamed)
        if rng.random() < 0.05:
            raw = raw[: rng.randrange(len(raw) + 1)]
        for piece in _pieces(rng, raw):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if rng.random() < 0.002:
            await asyncio.sleep(_SILENT_S)
        return rng.random() < 0.3


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """A request's body, by its length or in chunks."""
    headers = head.lower().split(b"\r\n")
    lengths = [int(line[15:]) for line in headers if line.startswith(b"content-length:")]
    if lengths:
        return await reader.readexactly(lengths[0])
    parts = []
    while length := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(length + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(parts)


def _pieces(rng: random.Random, raw: bytes) -> list[bytes]:
    if rng.random() < 0.6:
        return [raw]
    size = rng.choice((50, 200, 1000))
    return [raw[at : at + size] for at in range(0, len(raw), size)]

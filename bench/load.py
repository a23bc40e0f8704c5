"""Load on one server of OpenAI's API: so many requests, how long each took, when a stream's pieces came.

Belongs here: plain sockets on one event loop, and times. Does not: whose CPU it costs, figures
(gateway_load.py). A client library would measure itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar, cast

import orjson
import uvloop

_LONGEST_S = 120.0
_MOST_FAILED = 20
T = TypeVar("T")  # Python 3.11 has no type parameters yet


@dataclass
class Times:
    """Of all requests of a load, in seconds: how long each took, and the gaps between pieces of streams."""

    took_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    failed: int = 0  # asked, and not answered with success
    wall_s: float = 0.0


@dataclass(frozen=True)
class Request:
    """One request, as bytes for one server."""

    port: int
    data: bytes

    @classmethod
    def chat(cls, port: int, model: str, headers: Mapping[str, str], *, stream: bool) -> Request:
        """A chat completion of some 100 bytes of prompt."""
        message = {"role": "user", "content": "Tell me of ships. " * 6}
        asked = {"model": model, "messages": [message], "max_tokens": 64}
        body = orjson.dumps({**asked, "stream": True} if stream else asked)
        said = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{said}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return cls(port, head.encode() + body)


class _Client(asyncio.Protocol):
    """One connection that is kept: asks, and waits until the answer is whole."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[bytes] | None = None
        self._received = bytearray()
        self._left = -1  # bytes of the answer that are to come; -1: not known yet; -2: chunks
        self.arrivals: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, which an answer should not."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError(f"broken off after {bytes(self._received[-200:])!r}"))

    def data_received(self, data: bytes) -> None:
        """More of the answer."""
        self.arrivals.append(time.perf_counter())
        self._received += data
        if self._left == -1:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            _, found, length = head.lower().partition(b"\r\ncontent-length:")
            self._left = int(length.partition(b"\r\n")[0]) - len(rest) if found else -2
        elif self._left >= 0:
            self._left -= len(data)
        whole = self._left == 0 if self._left != -2 else self._received.endswith(b"0\r\n\r\n")
        if whole and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(bytes(self._received))

    async def ask(self, data: bytes) -> bytes:
        """The whole answer, head included. Raises ConnectionError when it is no success."""
        assert self._transport is not None
        self._received, self._left, self.arrivals = bytearray(), -1, []
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        answer = await self._waiting
        if not answer.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"not answered: {answer[:600]!r}")
        return answer

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.close()


async def _connected(port: int) -> _Client:
    _, client = await asyncio.get_running_loop().create_connection(_Client, "127.0.0.1", port)
    return client


def closed_loop(request: Request, requests: int, at_once: int) -> Times:
    """So many requests, a fixed number at once."""
    return run(_closed_loop(request, requests, at_once))


def open_loop(requests: Sequence[Request], per_s: float, seconds: float, connections: int) -> list[Times]:
    """Requests at a fixed rate, to each of several servers in turns, whatever the answers take."""
    return run(_open_loop(requests, per_s, seconds, connections))


def run(load: Coroutine[None, None, T]) -> T:
    """On uvloop, as the gateway."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop).run(load)


async def _closed_loop(request: Request, requests: int, at_once: int) -> Times:
    times, left = Times(), iter(range(requests))

    async def work() -> None:
        client = await _connected(request.port)
        for _ in left:
            began = time.perf_counter()
            try:
                await client.ask(request.data)
            except ConnectionError as error:
                _note_failure(times, error)
                client.close()
                client = await _connected(request.port)
                continue
            times.took_s.append(time.perf_counter() - began)
            times.gaps_s += [later - earlier for earlier, later in pairwise(client.arrivals)]
        client.close()

    began = time.perf_counter()
    async with asyncio.timeout(_LONGEST_S):
        await asyncio.gather(*(work() for _ in range(at_once)))
    times.wall_s = time.perf_counter() - began
    return times


def _note_failure(times: Times, error: ConnectionError) -> None:
    """Some of a server's failures are part of what it does; not many are."""
    times.failed += 1
    if times.failed > _MOST_FAILED:
        raise ConnectionError(f"{times.failed} requests failed, the last as: {error}") from error


async def _open_loop(
    requests: Sequence[Request], per_s: float, seconds: float, connections: int
) -> list[Times]:
    idle = [[await _connected(request.port) for _ in range(connections)] for request in requests]
    times = [Times() for _ in requests]
    loop, tasks = asyncio.get_running_loop(), set()

    async def one(which: int, client: _Client, due: float) -> None:
        await client.ask(requests[which].data)
        times[which].took_s.append(loop.time() - due)
        idle[which].append(client)

    began = loop.time()
    for number in range(int(per_s * seconds)):
        due = began + number / per_s
        if (wait_s := due - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        which = number % len(requests)
        client = idle[which].pop() if idle[which] else await _connected(requests[which].port)
        task = asyncio.create_task(one(which, client, loop.time()))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    async with asyncio.timeout(_LONGEST_S):
        await asyncio.gather(*tasks)
    for client in (client for clients in idle for client in clients):
        client.close()
    return times

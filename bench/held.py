"""Many connections to one server at the same time: streams that are held open, or nothing at all.

Belongs here: opening and closing them. Does not: what they cost (gateway_load.py).
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.load import Request

# The upstream keeps its streams open for minutes.
MODEL = "held-bench"
_AT_ONCE = 200
_LONGEST_S = 60.0


@contextmanager
def streams(request: Request, count: int) -> Iterator[None]:
    """So many streams of which each has begun, some hundreds after the other."""
    with connections(request.port, count) as opened:
        for start in range(0, count, _AT_ONCE):
            _begin(request, opened[start : start + _AT_ONCE])
        yield


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many connections."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(socket.create_connection(("127.0.0.1", port), timeout=30))
        yield opened
    finally:
        for each in opened:
            each.close()


def _begin(request: Request, batch: Sequence[socket.socket]) -> None:
    """Ask for a stream on each and wait until its first piece is there."""
    deadline = time.monotonic() + _LONGEST_S
    with selectors.DefaultSelector() as selector:
        for each in batch:
            each.sendall(request.data)
            selector.register(each, selectors.EVENT_READ)
        while selector.get_map():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(selector.get_map())} of {len(batch)} streams do not begin")
            for key, _ in selector.select(1.0):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                data = connection.recv(65_536)
                if not data.startswith(b"HTTP/1.1 200"):
                    raise ConnectionError(f"not answered: {data[:800]!r}")
                selector.unregister(connection)

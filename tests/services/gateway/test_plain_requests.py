import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from slipway.gateway.routing.connections import WarmConnector
from slipway.gateway.routing.plain import Plain

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEADERS = {"x-request-id": "r", "Content-Type": "application/json"}


class Engine:
    """Remembers what it was sent, and answers with `answer`; then it closes, if it is told to."""

    def __init__(self, *answers: bytes, closes: bool = False) -> None:
        self.answers = list(answers)
        self.closes = closes
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Plain]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        connector = WarmConnector(connect_timeout_s=1, limit=0, keepalive_timeout=4)
        async with server, asyncio.timeout(20):
            yield Plain(connector, aiohttp.ClientTimeout(total=None, sock_connect=1))
            await connector.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.answers.pop(0))
                if self.closes:
                    break
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        if self.closes or not self.answers:
            writer.close()


async def ask(engine: Engine, plain: Plain, path: str = "/v1/x", sent: Callable[[], None] = lambda: None):
    answer = await plain.post(f"http://127.0.0.1:{engine.port}{path}", b'{"a":1}', HEADERS, 5, sent)
    try:
        return answer.status, answer.content_type, await answer.read()
    finally:
        answer.close()


async def test_a_request_is_what_the_engine_needs_and_no_more():
    engine = Engine(OK)
    async with engine.serving() as plain:
        assert await ask(engine, plain, "/serve/my%20app/v1/x?y=1") == (
            200,
            "application/octet-stream",
            b"ok",
        )
    head, _, body = engine.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    assert line == b"POST /serve/my%20app/v1/x?y=1 HTTP/1.1"
    assert sorted(headers, key=bytes.lower) == [
        b"Accept-Encoding: identity",
        b"Content-Length: 7",
        b"Content-Type: application/json",
        b"Host: 127.0.0.1:%d" % engine.port,
        b"x-request-id: r",
    ]
    assert body == b'{"a":1}'


async def test_a_connection_is_used_again_once_its_answer_has_been_read():
    engine = Engine(OK, OK, OK)
    async with engine.serving() as plain:
        for _ in range(3):
            await ask(engine, plain)
        assert engine.connections == 1


async def test_a_connection_whose_answer_was_not_read_is_not_used_again():
    engine = Engine(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", OK)
    async with engine.serving() as plain:
        answer = await plain.post(f"http://127.0.0.1:{engine.port}/", b"{}", HEADERS, 5, lambda: None)
        answer.close()
        answer.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await answer.read()
        assert (await ask(engine, plain))[2] == b"ok"
        assert engine.connections == 2


async def test_what_is_said_before_the_answer_is_passed_over():
    engine = Engine(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
    async with engine.serving() as plain:
        assert (await ask(engine, plain))[2] == b"ok"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 two hundred\r\n\r\n", aiohttp.ClientPayloadError),
        (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 9_000 + b"\r\n\r\n", aiohttp.ClientPayloadError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", aiohttp.ClientPayloadError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", aiohttp.ClientPayloadError),
        (b"HTTP/1.1 200", aiohttp.ServerDisconnectedError),
        (b"", aiohttp.ServerDisconnectedError),
    ],
)
async def test_an_answer_that_is_none_is_told_as_aiohttp_tells_it(answer, error):
    engine = Engine(answer, closes=True)
    sent = []
    async with engine.serving() as plain:
        with pytest.raises(error):
            await ask(engine, plain, sent=lambda: sent.append(1))
    assert sent == [1]


async def test_without_a_server_nothing_was_sent():
    engine = Engine()
    sent = []
    async with engine.serving() as plain:
        with pytest.raises(aiohttp.ClientConnectorError):
            await plain.post("http://127.0.0.1:1/v1/x", b"{}", HEADERS, 5, lambda: sent.append(1))
    assert sent == []


async def test_silence_and_a_caller_that_gives_up_end_the_connection():
    engine = Engine(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"", OK)
    async with engine.serving() as plain:
        url = f"http://127.0.0.1:{engine.port}/"
        answer = await plain.post(url, b"{}", HEADERS, 0.1, lambda: None)
        with pytest.raises(aiohttp.SocketTimeoutError):
            await answer.read()
        answer.close()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await plain.post(url, b"{}", HEADERS, 5, lambda: None)
        assert (await ask(engine, plain))[2] == b"ok"
        assert engine.connections == 3

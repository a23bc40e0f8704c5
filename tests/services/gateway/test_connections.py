import asyncio
from datetime import UTC, datetime

import aiohttp
import pytest

from slipway.gateway.api.errors import ApiError
from slipway.gateway.request.outgoing import WholeBody
from slipway.gateway.routing import upstream
from slipway.gateway.routing.connections import WarmConnector
from slipway.gateway.usage.call import Call
from slipway.tenants.database import KeyRecord, digest


async def test_an_engine_that_closes_after_each_answer_finds_the_next_connection_open() -> None:
    accepted = 0

    async def answer_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        if await reader.read(4096):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_and_close, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    connector = WarmConnector(connect_timeout_s=5)
    async with server, aiohttp.ClientSession(connector=connector) as session:
        for number in range(1, 4):
            async with session.get(url) as reply:
                assert await reply.read() == b"ok"
            assert accepted == number  # this request opened none: it found the spare one
            connector.warm()
            connector.warm()
            async with asyncio.timeout(60):
                await connector._warming
                while accepted < number + 1:
                    await asyncio.sleep(0.01)
            assert accepted == number + 1


async def test_an_engine_that_is_gone_is_left_to_the_next_request_to_report() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    connector = WarmConnector(connect_timeout_s=5)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(2):
            try:
                await session.get(url)
            except aiohttp.ClientError as error:
                seen = type(error)
            server.close()
            connector.warm()
            await asyncio.sleep(0.05)
    assert seen is aiohttp.ClientConnectorError


HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"


@pytest.mark.parametrize("rest", [b"zz\r\n\r\n", b"-1\r\n", b"8\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX"])
@pytest.mark.parametrize("closes", [True, False])
async def test_a_body_that_stops_being_http_ends_at_once_with_an_error_of_the_engine(
    rest: bytes, closes: bool
) -> None:
    """The library let its reader wait for ever, with no time-out, or raised RuntimeError."""
    read = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(HEAD)
        await read.wait()  # the head is in the client's hands before the rest comes
        writer.write(rest)
        await writer.drain()
        if closes:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
    connector = WarmConnector(connect_timeout_s=5)
    async with server, aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        reply = await session.get(url)
        assert await reply.content.readany() == b"hello"
        waiting = asyncio.create_task(_read_to_end(reply.content))
        await asyncio.sleep(0)
        read.set()
        async with asyncio.timeout(30):
            with pytest.raises(aiohttp.ClientPayloadError):
                await waiting


async def test_a_reader_that_is_woken_in_the_same_moment_is_told_too() -> None:
    """The end of a chunk wakes it, the fault comes before it runs, and it waits again: for ever, it was."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(HEAD[:-2])
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    connector = WarmConnector(connect_timeout_s=5)
    async with server, aiohttp.ClientSession(connector=connector) as session, asyncio.timeout(30):
        reply = await session.get(url)
        assert await reply.content.readany() == b"hello"
        waiting = asyncio.create_task(_read_to_end(reply.content))
        await asyncio.sleep(0)
        for piece in (b"\r\n", b"zz\r\n\r\n"):
            reply.connection.protocol.data_received(piece)
        with pytest.raises(aiohttp.ClientPayloadError):
            await waiting


async def _read_to_end(content: aiohttp.StreamReader) -> None:
    while await content.readany():
        pass


async def test_an_engine_that_says_continue_and_nothing_more_is_not_waited_for_for_ever(monkeypatch, route):
    monkeypatch.setattr(upstream, "_CONNECT_TIMEOUT_S", 0.2)

    async def promise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.read()  # until the gateway hangs up
        writer.close()

    server = await asyncio.start_server(promise, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    key = KeyRecord("key_1", "acme", "ann", "", digest("sk"), "sk", datetime.now(UTC), None, True)
    call = Call(key, "/v1/chat/completions", 0.0)
    upstreams = upstream.Upstreams()
    async with server, asyncio.timeout(30):
        with pytest.raises(ApiError) as refused:
            await upstreams.open(
                route("chat", url, timeout_s=0.3),
                "/chat/completions",
                WholeBody(b"{}", call),
                call,
            )
        await upstreams.close()
    assert (refused.value.status, refused.value.code) == (504, "upstream_timeout")

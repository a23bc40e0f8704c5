import asyncio

import aiohttp

from slipway.gateway.routing.connections import WarmConnector


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

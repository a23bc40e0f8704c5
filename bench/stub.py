"""The upstream that all gateways of a bench are in front of: it answers at once, or at an engine's pace.

Belongs here: its answers. Does not: who asks (load.py). `python -m bench.stub PORT` serves it.
A request that has `"stream":true` gets CHUNKS chunks at once; with `paced` in its model's name, one each
PACE_S; with `held`, one, and nothing for minutes.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

CHUNKS = 20
PACED_CHUNKS = 50
PACE_S = 0.02
_HELD_S = 280.0
_ID = b"chatcmpl-5f0c1f6c2b7d4c0b9a1e"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_USAGE = b'"usage":{"prompt_tokens":12,"completion_tokens":%d,"total_tokens":%d}'


def _chunk(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


def _delta(model: bytes, delta: bytes, finish: bytes = b"null") -> bytes:
    return _chunk(
        b'{"id":"' + _ID + b'","object":"chat.completion.chunk","created":1700000000,"model":"' + model
        + b'","choices":[{"index":0,"delta":' + delta + b',"finish_reason":' + finish + b"}]}"
    )  # fmt: skip


def _token(model: bytes) -> bytes:
    return _delta(model, b'{"content":" token"}')


def _end(model: bytes, tokens: int) -> bytes:
    usage = _USAGE % (tokens, 12 + tokens)
    return (
        _delta(model, b"{}", b'"stop"')
        + _chunk(
            b'{"id":"' + _ID + b'","object":"chat.completion.chunk","created":1700000000,"model":"' + model
            + b'","choices":[],' + usage + b"}"
        )
        + _chunk(b"[DONE]")
        + b"0\r\n\r\n"
    )  # fmt: skip


def _whole(model: bytes) -> bytes:
    body = (
        b'{"id":"' + _ID + b'","object":"chat.completion","created":1700000000,"model":"' + model
        + b'","choices":[{"index":0,"message":{"role":"assistant","content":"' + b"token " * CHUNKS
        + b'"},"finish_reason":"stop"}],' + _USAGE % (CHUNKS, CHUNKS + 12) + b"}"
    )  # fmt: skip
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def _model_of(body: bytes) -> bytes:
    _, _, rest = body.replace(b" ", b"").partition(b'"model":"')
    return rest.partition(b'"')[0] or b"none"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = b""
            if b"\r\ncontent-length:" in head:
                length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
            elif b"\r\ntransfer-encoding:" in head:
                while size := int(await reader.readline(), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readline()
            model = _model_of(body)
            if b'"stream":true' not in body.replace(b" ", b""):
                writer.write(_whole(model))
            elif b"held" in model:
                writer.write(_HEAD + _token(model))
                await asyncio.sleep(_HELD_S)
            elif b"paced" not in model:
                writer.write(_HEAD + _delta(model, b'{"role":"assistant","content":""}'))
                writer.write(_token(model) * CHUNKS + _end(model, CHUNKS))
            else:
                await _pace(writer, model)
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def _pace(writer: asyncio.StreamWriter, model: bytes) -> None:
    loop = asyncio.get_running_loop()
    writer.write(_HEAD)
    token, due = _token(model), loop.time()
    for _ in range(PACED_CHUNKS):
        writer.write(token)
        due += PACE_S
        await asyncio.sleep(due - loop.time())
    writer.write(_end(model, PACED_CHUNKS))


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", port, backlog=8_192)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_serve(int(sys.argv[1])))

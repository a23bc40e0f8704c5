"""What a chunk of a stream costs the gateway: CPU per chunk, of many streams at the pace of real engines.

Belongs here: a paced upstream, clients that read, the gateway's CPU. Does not: first bytes (bench.gateway).
`python -m bench.streams` prints it, for an engine that says its usage at the end and one that says it in each
chunk, under the client's name of the model and under another.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.gateway import serving
from slipway.stack.ports import free_ports
from testbed.server_processes import process, wait_until_answered

STREAMS = 100
CHUNKS = 150
ROUNDS = 2
_PACE_S = 0.02
_WINDOW_S = 0.2
_ID = "chatcmpl-5f0c1f6c2b7d4c0b9a1e"


@dataclass(frozen=True)
class ChunkCost:
    """CPU of the gateway's main thread per chunk that it passed on, in the calmer windows of the streams."""

    kind: str
    cpu_us: float


@dataclass
class Progress:
    """Chunks that all clients have read so far."""

    chunks: int = 0


def measure(streams: int = STREAMS, chunks: int = CHUNKS) -> list[ChunkCost]:
    """Start everything, read all streams of each kind, stop everything. Takes about 25 s."""
    with ExitStack() as running:
        root = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="slipway-bench-")))
        upstream, port = free_ports(2)
        log = root / "upstream.log"
        served = [sys.executable, "-m", __spec__.name, "upstream", str(upstream)]
        wait_until_answered(
            f"http://127.0.0.1:{upstream}/", log, by=running.enter_context(process(served, log))
        )
        models = {"plain": upstream, "renamed": upstream, "counting": upstream}
        secret, gateway = running.enter_context(serving(root, port, models))
        windows: dict[str, list[float]] = {kind: [] for kind in models}
        for _ in range(ROUNDS):
            for kind, found in windows.items():
                found += asyncio.run(_windows(kind, port, secret, gateway.pid, streams, chunks))
        # What else runs on the machine takes its caches: the calmer quarter says what the gateway does.
        return [ChunkCost(kind, sorted(found)[len(found) // 4]) for kind, found in windows.items()]


async def _windows(kind: str, port: int, secret: str, pid: int, streams: int, chunks: int) -> list[float]:
    """Microseconds of CPU per chunk, window by window while all streams go on."""
    progress = Progress()
    reading = asyncio.gather(*(_read(kind, port, secret, chunks, progress) for _ in range(streams)))
    while progress.chunks < 10 * streams:
        await asyncio.sleep(_WINDOW_S)
    found = []
    cpu_ns, before = _cpu_ns(pid), progress.chunks
    while not reading.done() and progress.chunks < (chunks - 20) * streams:
        await asyncio.sleep(_WINDOW_S)
        cpu_now, now = _cpu_ns(pid), progress.chunks
        found.append((cpu_now - cpu_ns) / max(1, now - before) / 1e3)
        cpu_ns, before = cpu_now, now
    await reading
    return found


def _cpu_ns(pid: int) -> int:
    """CPU time of a process's main thread, exactly."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


async def _read(model: str, port: int, secret: str, chunks: int, progress: Progress) -> None:
    """Read one stream to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"model":"%s","stream":true,"max_tokens":%d,"messages":[]}' % (model.encode(), chunks)
    body = body.replace(b"[]", b'[{"role":"user","content":"Say hi."}]')
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (secret.encode(), len(body), body)
    )
    answer = b""
    while not answer.endswith(b"\r\n0\r\n\r\n"):
        part = await reader.read(65_536)
        if not part:
            raise ConnectionError(f"the stream broke off: {answer[-300:]!r}")
        answer += part
        progress.chunks += part.count(b'"content":"')
    writer.close()
    found = answer.count(b'"content":"')
    if found != chunks or b"[DONE]" not in answer:
        raise ConnectionError(f"{found} of {chunks} chunks: {answer[:300]!r}")


async def _serve_upstream(port: int) -> None:
    """An engine that makes a token every 20 ms, and says of the model what the kind of the stream is."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if not lengths:  # asked whether it is up
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        body = await reader.readexactly(int(lengths[0].split(b":")[1]))
        kind = body.partition(b'"model":"')[2].partition(b'"')[0].decode()
        chunks = int(body.partition(b'"max_tokens":')[2].partition(b",")[0])
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n"
        )
        for number in range(chunks):
            _write(writer, _chunk(kind, number))
            await asyncio.sleep(_PACE_S)
        usage = b'"choices":[],"usage":{"prompt_tokens":9,"total_tokens":19,"completion_tokens":10}}'
        _write(writer, _head(kind) + usage)
        _write(writer, b"[DONE]")
        writer.write(b"0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


def _head(kind: str) -> bytes:
    name = kind if kind == "plain" else "meta-llama/Llama-3.1-8B-Instruct"
    head = f'{{"id":"{_ID}","object":"chat.completion.chunk","created":1767225600,"model":"{name}",'
    return head.encode()


def _chunk(kind: str, number: int) -> bytes:
    choice = b'"choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]'
    usage = b""
    if kind == "counting":
        usage = b',"usage":{"prompt_tokens":9,"total_tokens":%d,"completion_tokens":%d}' % (
            number + 10,
            number + 1,
        )
    return _head(kind) + choice + usage + b"}"


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    event = b"data: " + data + b"\n\n"
    writer.write(b"%x\r\n%s\r\n" % (len(event), event))


def main() -> None:
    """Measure and print; or be the upstream."""
    if sys.argv[1:2] == ["upstream"]:
        asyncio.run(_serve_upstream(int(sys.argv[2])))
        return
    for cost in measure():
        print(f"{cost.kind:<10} {cost.cpu_us:6.1f} us of the gateway's CPU per chunk")


if __name__ == "__main__":
    main()

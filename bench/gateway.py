"""What the gateway adds to an engine's first byte, measured against the engine directly in the same run.

Belongs here: starting an engine, a fake upstream that answers at once, a store, a gateway; asking in turns.
Does not: throughput under load. `python -m bench.gateway` prints the result; `measure()` returns it.
"""

from __future__ import annotations

import asyncio
import secrets
import select
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from slipway.catalog.fields import Task
from slipway.records import routes
from slipway.records.route_store import RouteStore
from slipway.stack.ports import free_ports
from slipway.tenants import TenantsDatabase
from testbed import gateways, stores
from testbed.engines.llamacpp import llamacpp
from testbed.server_processes import process, wait_until_answered

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
        fake, gateway = free_ports(2)
        engine = int(running.enter_context(llamacpp(root)).rpartition(":")[2])
        log = root / "fake.log"
        served = [sys.executable, "-m", __spec__.name, "fake", str(fake)]
        wait_until_answered(f"http://127.0.0.1:{fake}/", log, by=running.enter_context(process(served, log)))
        secret, _ = running.enter_context(serving(root, gateway, {"engine": engine, "fake": fake}))
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
def serving(
    root: Path, port: int, upstreams: dict[str, int], task: Task = "text-generation"
) -> Iterator[tuple[str, psutil.Process]]:
    """A store with a route per upstream, a tenant, and a gateway; yields the tenant's key and its process."""
    with stores.seaweed(root) as location:
        store = stores.with_bucket(location, "bench")
        table = routes.build(_route(*each, task) for each in upstreams.items())
        RouteStore(store).change(lambda _: table)
        database = TenantsDatabase(f"sqlite:///{root / 'tenants.db'}")
        database.migrate()
        database.sync_orgs(["bench"])
        database.add_user("bench", "bench")
        secret = database.create_key("bench", "bench", "bench").secret  # known when the gateway is ready
        environment = gateways.variables(root, store.location, secrets.token_hex(16), port)
        log = root / "gateway.log"
        with process(gateways.COMMAND, log, environment, ended_by_term=True) as started:
            wait_until_answered(f"http://127.0.0.1:{port}/-/ready", log, by=started)
            yield secret, psutil.Process(started.pid)


def _route(model: str, port: int, task: Task) -> routes.Route:
    return routes.Route(
        model=model,
        deployment=model,
        revision="bench",
        upstreams=(f"http://127.0.0.1:{port}/v1",),
        upstream_model=model,
        sharing="all",
        task=task,
    )


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
    """Measure and print; or be the fake upstream."""
    if sys.argv[1:2] == ["fake"]:
        asyncio.run(_serve_fake(int(sys.argv[2])))
    else:
        cost = measure()
        _print("engine", cost.engine)
        _print("fake upstream", cost.fake)


if __name__ == "__main__":
    main()

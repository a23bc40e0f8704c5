"""`make bench-gateway`: what a request costs the gateway under load, against others before one upstream.

Belongs here: the figures and their targets. Does not: the load (load.py), the upstream (stub.py), the others
(testbed.peers), a single request's first byte (gateway.py).

Everything is on in ours: keys, limits, usage, metrics, log. The others have one key at most and no limits.
CPU is user and system time of a server's processes, so that a busy machine changes it little; all take turns.
`python -m bench.gateway_load envoy` is against Envoy alone, `alone` against nobody; SLIPWAY_BENCH_SCALE=0.1
for a tenth of the requests.
"""

from __future__ import annotations

import os
import secrets
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import held, load
from bench.figures import Figure, report
from bench.load import Request, Times
from slipway.catalog.deployment import Limit, Limits
from slipway.records import routes
from slipway.records.route_store import RouteStore
from slipway.records.routes import Route
from slipway.stack.ports import free_ports
from slipway.tenants import TenantsDatabase
from testbed import gateways, peers, stores
from testbed.peers import Peer
from testbed.server_processes import process, wait_until_answered

MODEL, PACED = "bench", "paced-bench"
OTHERS = ("litellm", "portkey", "envoy")
AT_ONCE = 16
STREAMS = 200
KEYS, ROUTES = 10_000, 1_000
HELD = 5_000
_SCALE = float(os.environ.get("SLIPWAY_BENCH_SCALE", "1"))
_ROUNDS = 2
# Requests of one round of a load: those of a slow server are fewer.
_REQUESTS = {"litellm": 400, "portkey": 2_000}
_MOST_REQUESTS = 8_000
_WARM_UP = 50
_TIMED_S = 12.0
_NO_LIMIT = Limit(requests_per_minute=10**9, tokens_per_minute=10**12)


@dataclass(frozen=True)
class Cost:
    """CPU per request of one server, and the times of its requests, in its best round."""

    cpu_us: float
    times: Times


def main() -> int:
    """Measure everything, print it, return the exit status."""
    asked = sys.argv[1:]
    return report(figures([name for name in OTHERS if name in asked or not asked]))


def figures(others: list[str]) -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    with ExitStack() as running:
        root = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="slipway-bench-")))
        upstream = running.enter_context(stub(root))
        ours = running.enter_context(gateway(root / "ours", upstream, keys=1, models=1))
        direct = Peer("direct", upstream, psutil.Process())
        servers = [ours, *(running.enter_context(_peer(name, root, upstream)) for name in others)]
        yield from _costs(servers, MODEL, stream=False, name="whole")
        yield from _costs(servers, MODEL, stream=True, name="streamed")
        yield from _paced(servers, direct)
        yield from _latency(ours, direct)
    yield from _sizes()


def _costs(servers: list[Peer], model: str, *, stream: bool, name: str) -> Iterator[Figure]:
    def one(server: Peer) -> Times:
        count = max(_WARM_UP, int(_REQUESTS.get(server.name, _MOST_REQUESTS) * _SCALE))
        return load.closed_loop(_request(server, model, stream=stream), count, AT_ONCE)

    costs = _in_turns(servers, one)
    _say(name, costs)
    least = {"whole": 25.0, "streamed": 50.0}[name]
    yield from _ratios(costs, name, least)
    if not stream:
        yield Figure(
            "requests_per_second_per_core", 1e6 / costs["slipway"].cpu_us, 4_000, "/s", bound="least"
        )


def _paced(servers: list[Peer], direct: Peer) -> Iterator[Figure]:
    def one(server: Peer) -> Times:
        return load.closed_loop(_request(server, PACED, stream=True), STREAMS, STREAMS)

    costs = _in_turns([*servers, direct], one)
    _say(f"{STREAMS} paced streams", {name: each for name, each in costs.items() if name != "direct"})
    yield from _ratios(costs, "paced", 25.0)
    gaps = {name: _quantile(costs[name].times.gaps_s, 0.99) for name in ("slipway", "direct")}
    yield Figure("inter_token_p99_to_direct", gaps["slipway"] / gaps["direct"], 1.3, "x")


def _ratios(costs: Mapping[str, Cost], name: str, least: float) -> Iterator[Figure]:
    ours = costs["slipway"].cpu_us
    if "litellm" in costs:
        yield Figure(f"litellm_cpu_to_ours_{name}", costs["litellm"].cpu_us / ours, least, "x", bound="least")
    if "portkey" in costs:
        yield Figure(f"portkey_cpu_to_ours_{name}", costs["portkey"].cpu_us / ours, 1, "x", bound="least")
    if "envoy" in costs:
        yield Figure(f"our_cpu_to_envoys_{name}", ours / costs["envoy"].cpu_us, 8, "x")


def _latency(ours: Peer, direct: Peer) -> Iterator[Figure]:
    """At half of what one core can take; asked directly and through the gateway in turns."""
    most = load.closed_loop(_request(ours, MODEL, stream=False), int(4_000 * max(_SCALE, 0.1)), AT_ONCE)
    per_s = len(most.took_s) / most.wall_s / 2
    requests = [_request(server, MODEL, stream=False) for server in (direct, ours)]
    straight, through = load.open_loop(requests, 2 * per_s, _TIMED_S * max(_SCALE, 0.2), AT_ONCE)
    for quantile, target in ((0.5, 0.6), (0.99, 3.0)):
        added = _quantile(through.took_s, quantile) - _quantile(straight.took_s, quantile)
        yield Figure(f"added_latency_p{quantile * 100:g}_at_half_load", added * 1e3, target, "ms")


def _sizes() -> Iterator[Figure]:
    """Many keys and routes, and many connections, in one process."""
    with ExitStack() as running:
        root = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="slipway-bench-")))
        upstream = running.enter_context(stub(root))
        few = running.enter_context(gateway(root / "few", upstream, keys=1, models=1))
        many = running.enter_context(gateway(root / "many", upstream, keys=KEYS, models=ROUTES, name="many"))

        def one(server: Peer) -> Times:
            count = max(_WARM_UP, int(_MOST_REQUESTS * _SCALE))
            return load.closed_loop(_request(server, MODEL, stream=False), count, AT_ONCE)

        costs = _in_turns([few, many], one)
        yield Figure(
            "cpu_with_10000_keys_and_1000_routes", costs["many"].cpu_us / costs["slipway"].cpu_us, 1.1, "x"
        )
        yield Figure("memory_with_10000_keys_and_1000_routes", _resident_mib(many), 150, "MiB")
        with held.streams(_request(many, held.MODEL, stream=True), HELD):
            yield Figure(f"memory_with_{HELD}_open_streams", _resident_mib(many), 500, "MiB")
        with held.connections(many.port, HELD):
            yield Figure(f"memory_with_{HELD}_idle_connections", _resident_mib(many), 500, "MiB")


def _in_turns(servers: list[Peer], one: Callable[[Peer], Times]) -> dict[str, Cost]:
    """The least CPU of a few rounds, in which all take turns."""
    costs: dict[str, Cost] = {}
    able = list(servers)
    for server in servers:
        load.closed_loop(_request(server, MODEL, stream=False), _WARM_UP, AT_ONCE)
    for _ in range(_ROUNDS):
        for server in list(able):
            before = server.cpu_s()
            try:
                times = one(server)
            except ConnectionError as error:
                if server.name not in OTHERS:
                    raise
                print(f"{server.name} is left out: {error}"[:400], file=sys.stderr, flush=True)
                able.remove(server)
                costs.pop(server.name, None)
                continue
            if times.failed:
                print(f"{server.name}: {times.failed} requests failed", file=sys.stderr, flush=True)
            cost = Cost((server.cpu_s() - before) / len(times.took_s) * 1e6, times)
            if server.name not in costs or cost.cpu_us < costs[server.name].cpu_us:
                costs[server.name] = cost
    return costs


def _request(server: Peer, model: str, *, stream: bool) -> Request:
    return Request.chat(server.port, model, server.headers, stream=stream)


@contextmanager
def _peer(name: str, root: Path, upstream: int) -> Iterator[Peer]:
    starting = {
        "litellm": lambda: peers.litellm(root, upstream, [MODEL, PACED]),
        "portkey": lambda: peers.portkey(root, upstream),
        "envoy": lambda: peers.envoy(root, upstream),
    }
    with starting[name]() as peer:
        yield peer


@contextmanager
def stub(root: Path) -> Iterator[int]:
    """The upstream; yields its port."""
    (port,) = free_ports(1)
    log = root / "stub.log"
    with process([sys.executable, "-m", "bench.stub", str(port)], log) as started:
        wait_until_answered(f"http://127.0.0.1:{port}/", log, by=started)
        yield port


@contextmanager
def gateway(root: Path, upstream: int, *, keys: int, models: int, name: str = "slipway") -> Iterator[Peer]:
    """Ours, with a store, so many keys and so many models; limits that nobody meets."""
    root.mkdir(exist_ok=True)
    port, metrics_port = free_ports(2)
    names = [MODEL, PACED, held.MODEL, *(f"model-{number}" for number in range(models - 1))]
    with stores.seaweed(root) as location:
        store = stores.with_bucket(location, "bench")
        table = routes.build(_route(model, upstream) for model in names)
        RouteStore(store).change(lambda _: table)
        database = TenantsDatabase(f"sqlite:///{root / 'tenants.db'}")
        database.migrate()
        secret = gateways.with_keys(database, keys)
        environment = gateways.variables(root, store.location, secrets.token_hex(16), port, metrics_port)
        log = root / "gateway.log"
        with process(gateways.COMMAND, log, environment, ended_by_term=True) as started:
            wait_until_answered(f"http://127.0.0.1:{port}/-/ready", log, by=started)
            yield Peer(name, port, psutil.Process(started.pid), {"Authorization": f"Bearer {secret}"})


def _route(model: str, port: int) -> Route:
    return Route(
        model=model,
        deployment=model,
        revision="bench",
        upstreams=(f"http://127.0.0.1:{port}/v1",),
        upstream_model=model,
        sharing="all",
        limits=Limits(org=_NO_LIMIT, user=_NO_LIMIT, api_key=_NO_LIMIT),
    )


def _resident_mib(server: Peer) -> float:
    return float(server.process.memory_info().rss) / 2**20


def _quantile(values: list[float], part: float) -> float:
    return statistics.quantiles(values, n=1_000, method="inclusive")[round(part * 1_000) - 1]


def _say(name: str, costs: Mapping[str, Cost]) -> None:
    said = ", ".join(f"{server} {cost.cpu_us:.0f}" for server, cost in costs.items())
    print(f"{name}: us of CPU per request: {said}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

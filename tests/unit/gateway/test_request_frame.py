"""The frame around a request: whatever a step of admission does, all is settled and recorded once."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from slipway.catalog.deployment import Limit, Limits
from slipway.gateway.admission.limits import MemoryLimiter
from slipway.gateway.admission.rate_limits import RateLimits
from slipway.gateway.api.errors import ApiError
from slipway.gateway.api.operations import OPERATIONS
from slipway.gateway.api.usage_count import UsageCount
from slipway.gateway.request.frame import Frame
from slipway.gateway.request.record import Recorder
from slipway.gateway.request.route import Router
from slipway.gateway.request.salt import Salts
from slipway.gateway.routing.in_flight import Gauge
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.gateway.routing.upstream import Upstreams
from slipway.gateway.usage.call import Call
from slipway.gateway.usage.spool import Spool
from slipway.records import routes
from slipway.tenants.database import KeyRecord, digest

PATH = "/v1/chat/completions"
BODY = {"model": "chat", "messages": [{"role": "user", "content": "Hi."}], "max_tokens": 5}
KEY = KeyRecord("key_1", "acme", "ann", "", digest("sk"), "sk", datetime.now(UTC), None, True)
LIMITS = Limits(org=Limit(requests_per_minute=10, tokens_per_minute=1_000))


@dataclass
class FakeGrant:
    headers: tuple = ((b"x-granted", b"yes"),)
    settled: list = field(default_factory=list)
    fault: Exception | None = None
    waits: asyncio.Event | None = None

    async def settle(self, call):
        self.settled.append(call.status)
        if self.fault is not None:
            raise self.fault
        if self.waits is not None:
            await self.waits.wait()


class FakeStep:
    """Grants, refuses, waits for ever or breaks."""

    def __init__(self, does):
        self.does = does
        self.grant = FakeGrant()
        self.asked = asyncio.Event()

    async def admit(self, call, route, body):
        self.asked.set()
        if self.does == "wait":
            await asyncio.Event().wait()
        if isinstance(self.does, BaseException):
            raise self.does
        return self.grant


class Client:
    """Sends one request and keeps what it is answered; hangs up when told to."""

    def __init__(self, body=BODY):
        self.body = body if isinstance(body, bytes) else orjson.dumps(body)
        self.sent = []
        self.hangs_up = asyncio.Event()
        self.asked = False

    async def receive(self):
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": self.body}
        await self.hangs_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def answer(self):
        """(status, headers, body)"""
        start, *parts = self.sent
        return start["status"], dict(start["headers"]), orjson.loads(b"".join(part["body"] for part in parts))


class OneReplica:
    """A frame over real parts, without an engine to go to."""

    def __init__(self, home: Path, *steps):
        route = routes.Route(
            model="chat",
            deployment="chat",
            revision="d" * 64,
            upstreams=("http://127.0.0.1:1/v1",),
            upstream_model="chat",
            sharing="all",
            limits=LIMITS,
        )
        cache = home / "routes.json"
        cache.write_bytes(routes.encode(routes.build([route])))
        self.limiter = MemoryLimiter()
        self.in_flight = Gauge()
        self.spool = Spool(home / "spool", "gateway-0")
        self.upstreams = Upstreams()
        router = Router(RouteFollower(None, cache), self.in_flight)
        steps = (RateLimits(self.limiter), *steps)
        self.frame = Frame(router, steps, self.upstreams, Recorder("gateway-0", self.spool), Salts("t"))

    async def serve(self, client):
        await self.frame.serve(OPERATIONS[PATH], Call(KEY, PATH, 0.0), client.receive, client.send)

    def events(self):
        return [orjson.loads(line) for segment in self.spool.seal() for line in segment.lines()]

    def used(self):
        """What is counted of all limits, in requests and tokens."""
        return sum(window.used(0.0) for window in self.limiter._windows.values())


@pytest.fixture
async def replica(tmp_path):
    """Makes a replica whose admission has these steps after its limits."""
    made = []

    def make(*steps):
        made.append(OneReplica(tmp_path, *steps))
        return made[-1]

    yield make
    for each in made:
        await each.upstreams.close()


def refusal():
    return ApiError(429, "insufficient_quota", "budget_spent", "Spent.", headers=((b"x-own", b"1"),))


async def test_a_step_that_refuses_ends_it_and_what_others_granted_is_given_back(replica):
    first, second, third = FakeStep("grant"), FakeStep(refusal()), FakeStep("grant")
    gateway, client = replica(first, second, third), Client()
    await gateway.serve(client)
    status, headers, body = client.answer
    assert (status, body["error"]["code"]) == (429, "budget_spent")
    assert headers[b"x-granted"] == b"yes" and headers[b"x-own"] == b"1"
    assert headers[b"x-ratelimit-remaining-requests"] == b"9"
    assert first.grant.settled == ["limited"]
    assert not third.asked.is_set()
    assert gateway.used() == 0
    (event,) = gateway.events()
    assert (event["status"], event["error_type"]) == ("limited", "budget_spent")


async def test_a_client_that_hangs_up_while_a_step_lets_it_wait_leaves_nothing_behind(replica):
    granted, waiting = FakeStep("grant"), FakeStep("wait")
    gateway, client = replica(granted, waiting), Client()
    serving = asyncio.create_task(gateway.serve(client))
    await waiting.asked.wait()
    assert gateway.in_flight.counts() == {"chat/" + "d" * 64: 1}
    client.hangs_up.set()
    await serving
    assert gateway.in_flight.counts() == {}
    assert (client.sent, granted.grant.settled) == ([], ["cancelled"])
    (event,) = gateway.events()
    assert (event["status"], event["error_type"]) == ("cancelled", "client_disconnected")
    assert (event["input_tokens"], event["output_tokens"], event["counted_by"]) == (0, 0, "none")
    assert gateway.used() == 1  # the request, and no token of a prompt that no engine had


async def test_a_request_that_the_process_cannot_wait_for_is_recorded_and_its_task_ends_cancelled(replica):
    waiting = FakeStep("wait")
    gateway, client = replica(waiting), Client()
    serving = asyncio.create_task(gateway.serve(client))
    await waiting.asked.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    (event,) = gateway.events()
    assert (event["status"], event["error_type"]) == ("server_error", "gateway_shutdown")
    assert (gateway.in_flight.counts(), gateway.used()) == ({}, 0)


class Fault(BaseException):
    """What no handler of exceptions expects."""


@pytest.mark.parametrize(
    "fault",
    [ZeroDivisionError("a fault"), RecursionError("a fault"), MemoryError("a fault"), TypeError("a fault")],
)
async def test_a_fault_of_the_gateway_is_settled_recorded_answered_and_told(replica, capfd, fault):
    granted = FakeStep("grant")
    gateway, client = replica(granted, FakeStep(fault)), Client()
    await gateway.serve(client)
    status, headers, body = client.answer
    assert (status, body["error"]["type"], body["error"]["code"]) == (500, "server_error", "internal_error")
    assert "a fault" not in body["error"]["message"]
    (event,) = gateway.events()
    assert (event["status"], event["error_type"]) == ("server_error", "internal_error")
    assert headers[b"x-request-id"].decode() == event["request_id"]
    assert granted.grant.settled == ["server_error"]
    assert (gateway.in_flight.counts(), gateway.used()) == ({}, 0)
    told = [line for line in capfd.readouterr().err.splitlines() if '"error"' in line and "a fault" in line]
    assert any(
        event["request_id"] in line and type(fault).__name__ in line and "File" in line for line in told
    )


async def test_even_what_ends_the_process_is_settled_and_recorded_before(replica):
    granted = FakeStep("grant")
    gateway = replica(granted, FakeStep(Fault()))
    with pytest.raises(Fault):
        await gateway.serve(Client())
    (event,) = gateway.events()
    assert (event["status"], granted.grant.settled) == ("server_error", ["server_error"])
    assert (gateway.in_flight.counts(), gateway.used()) == ({}, 0)


async def test_a_grant_that_cannot_be_settled_keeps_no_other_from_it(replica):
    first, broken, refuses = FakeStep("grant"), FakeStep("grant"), FakeStep(refusal())
    broken.grant.fault = ValueError("a fault")
    gateway, client = replica(first, broken, refuses), Client()
    await gateway.serve(client)
    assert client.answer[0] == 429
    assert (first.grant.settled, broken.grant.settled) == (["limited"], ["limited"])
    assert (len(gateway.events()), gateway.used()) == (1, 0)


async def test_a_request_that_is_cancelled_while_a_grant_is_settled_is_settled_all_the_same(replica):
    first, slow, refuses = FakeStep("grant"), FakeStep("grant"), FakeStep(refusal())
    slow.grant.waits = asyncio.Event()
    gateway = replica(first, slow, refuses)
    serving = asyncio.create_task(gateway.serve(Client()))
    while not slow.grant.settled:
        await asyncio.sleep(0)
    serving.cancel()
    slow.grant.waits = None
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert (first.grant.settled, slow.grant.settled) == (["limited"], ["limited", "limited"])
    assert (len(gateway.events()), gateway.used(), gateway.in_flight.counts()) == (1, 0, {})


class FakeUsage(UsageCount):
    """Counts that no event can hold."""

    def totals(self):
        return 2**70, 0, 2**70


async def test_counts_that_cannot_be_written_do_not_cost_the_event(replica):
    class Counts(FakeStep):
        async def admit(self, call, route, body):
            call.usage = FakeUsage()
            raise refusal()

    gateway, client = replica(Counts("grant")), Client()
    await gateway.serve(client)
    assert client.answer[0] == 429
    (event,) = gateway.events()
    assert (event["status"], event["input_tokens"]) == ("limited", 0)
    assert gateway.used() == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**BODY, "messages": [{"role": "user", "content": [{"type": []}]}]}, 502),
        ({"model": "chat", "messages": BODY["messages"], "prompt": []}, 502),
        ({**BODY, "x": [[]]}, 502),
        (b'{"model": "chat", "messages": [{"role": "user"}], "x": ' + b"[" * 253 + b"]" * 253 + b"}", 400),
        (b'{"model": "chat", "messages": [{"role": "user"}], "max_tokens": 1' + b"0" * 30 + b"}", 400),
        (b'{"model": "chat", "messages": [{"role": "user"}], "n": 18446744073709551615}', 429),
    ],
)
async def test_no_odd_body_reaches_the_frame_as_a_fault(replica, body, status):
    """The engine is not there: what is passed on ends with 502."""
    gateway, client = replica(), Client(body)
    await gateway.serve(client)
    assert client.answer[0] == status
    assert (len(gateway.events()), gateway.used() if status != 400 else 0) == (1, 0)

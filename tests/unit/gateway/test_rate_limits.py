"""What one request takes of its limits, in every unit, and what comes back at each way to end."""

from datetime import UTC, datetime

import pytest

from slipway.catalog.deployment import Limit, Limits
from slipway.gateway.admission.limits import MemoryLimiter
from slipway.gateway.admission.rate_limits import RateLimits
from slipway.gateway.api.errors import ApiError
from slipway.gateway.usage.call import Call
from slipway.records.routes import Route
from slipway.records.usage import Units
from slipway.tenants.database import KeyRecord, digest

KEY = KeyRecord("key_1", "acme", "ann", "", digest("sk"), "sk", datetime.now(UTC), None, True)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
RERANK = {"model": "m", "query": "q", "documents": ["a", "b", "c"]}


def route(**limits: int) -> Route:
    return Route(
        model="m", deployment="d", revision="d" * 64,
        upstreams=("http://127.0.0.1:1/v1",), upstream_model="m",
        task="rerank", sharing="all", limits=Limits(org=Limit(**limits)),
    )  # fmt: skip


class Gateway:
    """Admits requests of one org and lets them end."""

    def __init__(self, **limits: int) -> None:
        self.limiter = MemoryLimiter()
        self.route = route(**limits)
        self.limits = RateLimits(self.limiter)

    async def admit(self, path, body):
        call = Call(KEY, path, 0.0)
        return call, await self.limits.admit(call, self.route, dict(body))

    def left(self, most: int) -> int:
        """What is left of the one limit."""
        (window,) = self.limiter._windows.values()
        return most - window.used(0.0)


@pytest.mark.parametrize(
    ("status", "handed_over", "used", "left"),
    [
        ("success", True, Units(documents=3, searches=1), 7),
        ("success", True, Units(documents=2, searches=1), 8),  # the engine's own figure
        ("cancelled", True, Units(documents=3, searches=1), 7),
        ("cancelled", False, Units(documents=3, searches=1), 10),
        ("client_error", True, Units(), 10),
        ("server_error", True, Units(), 10),
        ("limited", False, Units(), 10),
    ],
)
async def test_documents_are_reserved_and_settled_with_what_was_used(status, handed_over, used, left):
    gateway = Gateway(documents_per_minute=10)
    call, grant = await gateway.admit("/v1/rerank", RERANK)
    assert gateway.limiter.held_tokens == 3
    call.units = used
    if handed_over:
        call.hand_over()
    call.end(status, None)
    await grant.settle(call)
    assert gateway.limiter.held_tokens == 0
    assert gateway.left(10) == left


async def test_more_documents_than_the_limit_are_refused_and_nothing_is_taken():
    gateway = Gateway(documents_per_minute=2, requests_per_minute=9)
    with pytest.raises(
        ApiError, match="limit of 2 documents per minute for `m`: it may use up to 3 documents"
    ):
        await gateway.admit("/rerank", RERANK)
    assert gateway.limiter.held_tokens == 0
    assert not any(window.used(0.0) for window in gateway.limiter._windows.values())


@pytest.mark.parametrize(("handed_over", "counts"), [(False, 0), (True, 1)])
async def test_a_prompt_that_no_engine_had_comes_back_when_its_client_hangs_up(handed_over, counts):
    """What an engine was given is counted by its bound, since nobody knows better."""
    gateway = Gateway(tokens_per_minute=1_000)
    call, grant = await gateway.admit("/v1/chat/completions", CHAT)
    assert gateway.limiter.held_tokens > 0
    if handed_over:
        call.hand_over()
    call.end("cancelled", "client_disconnected")
    await grant.settle(call)
    used = sum(window.used(0.0) for window in gateway.limiter._windows.values())
    assert (gateway.limiter.held_tokens, used) == (0, counts * grant.prompt_bound)


async def test_a_request_that_is_hung_up_before_an_engine_had_it_counts_as_one():
    gateway = Gateway(requests_per_minute=2)
    for _ in range(2):
        call, grant = await gateway.admit("/v1/chat/completions", CHAT)
        call.end("cancelled", "client_disconnected")
        await grant.settle(call)
    with pytest.raises(ApiError, match="limit of 2 requests per minute"):
        await gateway.admit("/v1/chat/completions", CHAT)

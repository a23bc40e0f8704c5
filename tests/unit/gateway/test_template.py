"""What a template adds is learned from what cannot lie, and forgotten when it is no longer seen."""

import asyncio
from datetime import UTC, datetime

import pytest

from slipway.catalog.deployment import Limit, Limits
from slipway.gateway.admission.limits import MemoryLimiter
from slipway.gateway.admission.rate_limits import RateLimits
from slipway.gateway.admission.template import MOST_TOKENS, Template, TemplateAllowance
from slipway.gateway.api.errors import ApiError
from slipway.gateway.usage.call import Call
from slipway.records import routes
from slipway.tenants.database import KeyRecord, digest

LEAST = 64
PATH = "/v1/chat/completions"
A, B = (Template("chat/d1", PATH, org) for org in ("a", "b"))


def learn(allowance, template, added, *, now=0.0, is_plain=True):
    allowance.learn(template, added, is_plain=is_plain, least=LEAST, now=now)


def test_what_a_plain_request_shows_is_allowed_for_all_and_no_other_revision():
    allowance = TemplateAllowance()
    learn(allowance, A, 430)
    assert allowance.of(A, LEAST, 1.0) == allowance.of(B, LEAST, 1.0) == 430
    assert allowance.of(Template("chat/d2", PATH, "a"), LEAST, 1.0) == LEAST
    assert allowance.of(Template("chat/d1", "/v1/completions", "a"), 0, 1.0) == 0


def test_the_most_that_was_seen_is_allowed_and_not_the_sum():
    allowance = TemplateAllowance()
    for added in (430, 100, 430, 2, -50):
        learn(allowance, A, added)
    assert allowance.of(A, LEAST, 1.0) == 430


def test_what_other_requests_show_is_allowed_for_their_own_organization():
    allowance = TemplateAllowance()
    learn(allowance, A, 3_000, is_plain=False)
    assert (allowance.of(A, LEAST, 1.0), allowance.of(B, LEAST, 1.0)) == (3_000, LEAST)


def test_a_count_that_is_nonsense_is_bounded_and_forgotten_though_nobody_fits_any_more():
    allowance = TemplateAllowance()
    learn(allowance, A, 10**12)
    assert allowance.of(A, LEAST, 1.0) == MOST_TOKENS
    for now in (130.0, 260.0):  # asked for, and refused
        allowance.of(A, LEAST, now)
    assert allowance.of(A, LEAST, 261.0) == LEAST


def test_what_is_seen_again_stays_and_nights_without_requests_forget_nothing():
    allowance = TemplateAllowance()
    learn(allowance, A, 430)
    for now in (130.0, 50_000.0, 100_000.0):
        assert allowance.of(A, LEAST, now) == 430
        learn(allowance, A, 430, now=now)


def test_names_that_come_and_go_do_not_fill_the_memory():
    allowance = TemplateAllowance()
    for number in range(25_000):
        learn(allowance, Template(f"chat/{number}", PATH, "a"), 100)
    assert len(allowance._peaks) <= 10_000


KEYS = {
    org: KeyRecord(f"key_{org}", org, "ann", "", digest("sk"), "sk", datetime.now(UTC), None, True)
    for org in "abc"
}
ROUTE = routes.Route(
    model="chat",
    deployment="chat",
    revision="d" * 64,
    upstreams=("http://127.0.0.1:1/v1",),
    upstream_model="chat",
    sharing="all",
    limits=Limits(org=Limit(tokens_per_minute=20_000)),
)


def hi(**more):
    return {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5, **more}


class Engine:
    """Its template adds 430 tokens to every chat; requests are admitted and answered."""

    def __init__(self, limits=ROUTE.limits):
        self.route = ROUTE.model_copy(update={"limits": limits})
        self.limits = RateLimits(MemoryLimiter())

    async def admit(self, org, **more):
        call = Call(KEYS[org], PATH, 0.0)
        return call, await self.limits.admit(call, self.route, hi(**more))

    async def answer(self, call, grant, prompt=435):
        call.hand_over()
        call.usage.report({"prompt_tokens": prompt, "completion_tokens": 5}, [])
        call.end("success", None)
        await grant.settle(call)

    async def burst(self, org, number, **more):
        """So many at once: all are admitted before the first is answered."""
        admitted = await asyncio.gather(*(self.admit(org, **more) for _ in range(number)))
        for call, grant in admitted:
            await self.answer(call, grant)


async def test_a_burst_of_one_organization_does_not_lock_the_others_out():
    """Each of 100 counted 366 above the 64 allowed: added up that is 36,600, above the limit of 20,000."""
    engine = Engine()
    await engine.burst("a", 100)
    for org in "bc":
        for _ in range(20):
            call, grant = await engine.admit(org)
            assert grant.prompt_bound == 430 + 8 + 4 + 2 - 9
            await engine.answer(call, grant)


async def test_an_organization_whose_tools_cost_more_than_they_are_long_pays_for_them_alone():
    engine = Engine()
    call, grant = await engine.admit("a", tools=[{"type": "function", "function": {"name": "f"}}])
    await engine.answer(call, grant, prompt=4_000)
    _, dear = await engine.admit("a")
    _, cheap = await engine.admit("b")
    assert dear.prompt_bound > 3_500 > 100 > cheap.prompt_bound


async def test_after_an_engine_that_counted_nonsense_requests_fit_again(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    engine = Engine(Limits(org=Limit(tokens_per_minute=2_000)))
    call, grant = await engine.admit("a")
    await engine.answer(call, grant, prompt=10**9)
    now = 130.0
    with pytest.raises(ApiError, match="too large"):
        await engine.admit("b")
    now = 260.0
    await engine.admit("b")

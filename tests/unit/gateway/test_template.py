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
    allowance.learn(template, 14 + added, 14, is_plain=is_plain, least=LEAST, now=now)


def of(allowance, template, now, *, least=LEAST, limit=0):
    return allowance.of(template, least, limit, now)


def test_what_a_plain_request_shows_is_allowed_for_all_and_no_other_revision():
    allowance = TemplateAllowance()
    learn(allowance, A, 430)
    assert of(allowance, A, 1.0) == of(allowance, B, 1.0) == 430
    assert of(allowance, Template("chat/d2", PATH, "a"), 1.0) == LEAST
    assert of(allowance, Template("chat/d1", "/v1/completions", "a"), 1.0, least=0, limit=20_000) == 0


def test_the_most_that_was_seen_is_allowed_and_not_the_sum():
    allowance = TemplateAllowance()
    for added in (430, 100, 430, 2, -50):
        learn(allowance, A, added)
    assert of(allowance, A, 1.0) == 430


def test_what_other_requests_show_is_allowed_for_their_own_organization():
    allowance = TemplateAllowance()
    learn(allowance, A, 3_000, is_plain=False)
    assert (of(allowance, A, 1.0), of(allowance, B, 1.0)) == (3_000, LEAST)


def test_a_count_that_is_nonsense_is_bounded_and_forgotten_though_nobody_fits_any_more():
    allowance = TemplateAllowance()
    learn(allowance, A, 10**12)
    assert of(allowance, A, 1.0) == MOST_TOKENS
    for now in (130.0, 260.0):  # asked for, and refused
        of(allowance, A, now)
    assert of(allowance, A, 261.0) == LEAST


def test_what_is_seen_again_stays_and_nights_without_requests_forget_nothing():
    allowance = TemplateAllowance()
    learn(allowance, A, 430)
    for now in (130.0, 50_000.0, 100_000.0):
        assert of(allowance, A, now) == 430
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

    async def burst(self, org, number, *, prompt=435, **more):
        """So many at once: all are admitted before the first is answered."""
        admitted = await asyncio.gather(*(self.admit(org, **more) for _ in range(number)))
        for call, grant in admitted:
            await self.answer(call, grant, prompt)


async def test_a_burst_of_one_organization_does_not_lock_the_others_out():
    """Each counted 366 above the 64 that were allowed, and that was added up for all in flight."""
    engine = Engine()
    await engine.burst("a", 35)
    for org in "bc":
        for _ in range(20):
            call, grant = await engine.admit(org)
            assert grant.prompt_bound == 435 + 8 + 4 + 2  # all of a counted prompt may be template
            await engine.answer(call, grant)


async def test_a_burst_before_anything_is_known_of_a_template_does_not_overshoot():
    """Each of 100 at once uses 440 of 20,000; with 64 tokens for the template all were admitted."""
    engine = Engine()
    admitted = []
    for _ in range(100):
        try:
            admitted.append(await engine.admit("a"))
        except ApiError as refused:
            assert refused.status == 429
    assert 30 < len(admitted) <= 20_000 // 440
    for call, grant in admitted:
        await engine.answer(call, grant)
    _, grant = await engine.admit("b")
    assert grant.prompt_bound == 435 + 14


async def test_a_short_template_costs_no_more_than_it_may_once_one_prompt_was_counted():
    engine = Engine()
    call, first = await engine.admit("a")
    assert first.prompt_bound == 512 + 14
    await engine.answer(call, first, prompt=31)
    _, second = await engine.admit("b")
    assert second.prompt_bound == LEAST + 14


def test_a_small_limit_is_not_filled_by_a_template_of_which_nothing_is_known():
    assert [of(TemplateAllowance(), A, 1.0, limit=limit) for limit in (200, 1_000, 20_000)] == [64, 125, 512]


async def test_an_organization_whose_tools_cost_more_than_they_are_long_pays_for_them_alone():
    engine = Engine()
    await engine.burst("b", 1, prompt=31)
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

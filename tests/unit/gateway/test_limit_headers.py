import asyncio

import orjson
import pytest

from slipway.gateway.admission import limit_headers
from slipway.gateway.admission.limits import Bound, MemoryLimiter

ORG = Bound("org", ("chat", "a"), "requests", 100)
KEY = Bound("api_key", ("chat", "k"), "requests", 2)
TOKENS = Bound("org", ("chat", "a"), "tokens", 50)


def ask(limiter, prompt, at=0.0):
    return asyncio.run(limiter.reserve([ORG, KEY, TOKENS], prompt, 0, 0, at))


def test_the_scope_with_the_least_left_is_shown():
    reservation = ask(MemoryLimiter(), 20)
    assert dict(limit_headers.headers(reservation.standings)) == {
        b"x-ratelimit-limit-requests": b"2",
        b"x-ratelimit-remaining-requests": b"1",
        b"x-ratelimit-reset-requests": b"60.0s",
        b"x-ratelimit-limit-tokens": b"50",
        b"x-ratelimit-remaining-tokens": b"30",
        b"x-ratelimit-reset-tokens": b"60.0s",
    }


def test_without_limits_there_are_no_headers():
    assert limit_headers.headers(()) == ()


@pytest.mark.parametrize(("at", "wait"), [(0.0, b"60"), (30.2, b"30"), (59.99, b"1")])
def test_a_refusal_says_whose_limit_and_when_to_come_back(at, wait):
    limiter = MemoryLimiter()
    ask(limiter, 1)
    ask(limiter, 1)
    error = limit_headers.rate_limited("chat", ask(limiter, 1, at))
    told = orjson.loads(error.body())["error"]
    assert (error.status, told["type"], told["code"]) == (429, "rate_limit_exceeded", "rate_limit_exceeded")
    assert "API key limit of 2 requests per minute for `chat`" in told["message"]
    headers = dict(error.headers)
    assert headers[b"retry-after"] == wait
    assert headers[b"x-ratelimit-limit-requests"] == b"2"
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"


def test_a_request_that_never_fits_is_not_to_be_repeated():
    error = limit_headers.rate_limited("chat", ask(MemoryLimiter(), 51))
    assert "too large" in error.message
    assert "51 tokens" in error.message
    headers = dict(error.headers)
    assert headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in headers

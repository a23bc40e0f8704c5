import asyncio

import orjson
import pytest

from slipway.gateway.admission import limit_headers
from slipway.gateway.admission.bounds import Bound
from slipway.gateway.admission.limits import MemoryLimiter
from slipway.records.usage import Units

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


@pytest.mark.parametrize(
    ("dimension", "units", "name", "words"),
    [
        ("audio_seconds", Units(input_audio_ms=9_500), b"audio-seconds", "10 seconds of audio (by its size"),
        ("characters", Units(characters=9), b"characters", "9 characters of text"),
        ("documents", Units(documents=9), b"documents", "9 documents in all"),
    ],
)
def test_other_units_have_headers_and_words_of_their_own(dimension, units, name, words):
    bound = Bound("user", ("w", "u"), dimension, 12)
    limiter = MemoryLimiter()
    admitted = asyncio.run(limiter.reserve([bound], 0, 0, 0, 0.0, units))
    shown = dict(limit_headers.headers(admitted.standings))
    assert shown[b"x-ratelimit-limit-" + name] == b"12"
    assert shown[b"x-ratelimit-remaining-" + name] in {b"2", b"3"}
    unit = limit_headers._WORDS[dimension][0]
    again = limit_headers.rate_limited("w", asyncio.run(limiter.reserve([bound], 0, 0, 0, 0.0, units)))
    assert f"user limit of 12 {unit} per minute for `w`. Left: " in again.message
    large = Bound("user", ("w", "v"), dimension, 5)
    never = limit_headers.rate_limited("w", asyncio.run(limiter.reserve([large], 0, 0, 0, 0.0, units)))
    assert words in never.message and dict(never.headers)[b"x-should-retry"] == b"false"

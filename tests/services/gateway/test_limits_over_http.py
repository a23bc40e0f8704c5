import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import openai
import pytest

from slipway.catalog.deployment import Limit, Limits

HI = [{"role": "user", "content": "hi"}]
_number = count()


@pytest.fixture
def limited(gateway, fake, route):
    """Publishes a model of its own with these limits, in front of the fake; returns its name."""

    def publish(behaviour="plain", **limits) -> str:
        name = f"limited-{next(_number)}"
        gateway.route(route(name, fake.url, upstream_model=behaviour, limits=Limits(**limits)))
        return name

    return publish


def test_requests_beyond_the_limit_get_429_with_whose_limit_it_is_and_when_to_return(gateway, fake, limited):
    model = limited(org=Limit(requests_per_minute=2))
    client = gateway.client("acme")
    for left in ("1", "0"):
        reply = client.chat.completions.with_raw_response.create(model=model, messages=HI)
        assert reply.headers["x-ratelimit-limit-requests"] == "2"
        assert reply.headers["x-ratelimit-remaining-requests"] == left
    with pytest.raises(openai.RateLimitError, match="organization limit of 2 requests per minute") as refused:
        client.chat.completions.create(model=model, messages=HI)
    assert 0 < int(refused.value.response.headers["retry-after"]) <= 60
    assert refused.value.type == refused.value.code == "rate_limit_exceeded"
    assert len(fake.requests) == 2
    assert [event["status"] for event in gateway.events()] == ["success", "success", "limited"]


def test_every_scope_is_counted_for_itself(gateway, limited):
    gateway.add_org("scopes", "ann", "bob")
    model = limited(user=Limit(requests_per_minute=1), org=Limit(requests_per_minute=3))
    ann, bob = gateway.client("scopes/ann"), gateway.client("scopes/bob")
    ann.chat.completions.create(model=model, messages=HI)
    with pytest.raises(openai.RateLimitError, match="user limit of 1 requests"):
        ann.chat.completions.create(model=model, messages=HI)
    bob.chat.completions.create(model=model, messages=HI)
    gateway.client("acme").chat.completions.create(model=model, messages=HI)


def test_many_at_once_never_get_more_tokens_than_the_limit(gateway, fake, limited):
    """Each may use 78 + 22 = 100 tokens and in the end uses 7 + 22 = 29; at most 5 fit in 500 at once."""
    model = limited("slow", org=Limit(tokens_per_minute=500))
    client, barrier = gateway.client("acme"), threading.Barrier(24)

    def one(_: int) -> int:
        barrier.wait()
        try:
            return client.chat.completions.create(model=model, messages=HI, max_tokens=22).usage.total_tokens
        except openai.RateLimitError:
            return 0

    used = []
    with ThreadPoolExecutor(24) as pool:
        for _ in range(3):
            used += list(pool.map(one, range(24)))
    assert 5 <= len([tokens for tokens in used if tokens]) <= 500 // 29
    assert sum(used) <= 500


def test_a_request_without_max_tokens_is_bounded_so_that_it_cannot_overshoot(gateway, fake, limited):
    model = limited(org=Limit(tokens_per_minute=400))
    gateway.client("acme").chat.completions.create(model=model, messages=HI)
    assert fake.requests[0]["max_tokens"] == 400 // 4


def test_other_names_for_max_tokens_do_not_get_past_the_limit(gateway, fake, limited):
    model = limited(org=Limit(tokens_per_minute=400))
    more = {"n_predict": 10**6, "n_cmpl": 50}
    gateway.client("acme").chat.completions.create(model=model, messages=HI, max_tokens=5, extra_body=more)
    assert not more.keys() & fake.requests[0].keys()


def test_a_request_too_large_for_its_limit_is_told_so_and_is_not_retried_by_the_sdk(gateway, fake, limited):
    model = limited(api_key=Limit(tokens_per_minute=200))
    with pytest.raises(openai.RateLimitError, match="too large for the API key limit of 200 tokens"):
        gateway.client("acme", max_retries=2).chat.completions.create(
            model=model, messages=HI, max_tokens=1000
        )
    assert fake.requests == []
    assert len(gateway.events()) == 1


def test_what_is_not_used_comes_back_at_once(gateway, limited):
    """78 + 22 reserved, 7 + 22 used: 500 tokens are enough for more than 500 / 100 requests in a row."""
    model = limited(org=Limit(tokens_per_minute=500))
    client = gateway.client("acme")
    for _ in range(10):
        client.chat.completions.create(model=model, messages=HI, max_tokens=22)
    reply = client.chat.completions.with_raw_response.create(model=model, messages=HI, max_tokens=22)
    assert reply.headers["x-ratelimit-remaining-tokens"] == str(500 - 10 * 29 - 100)


def test_a_failed_request_is_refunded(gateway, limited):
    model = limited("500", org=Limit(requests_per_minute=1, tokens_per_minute=200))
    for _ in range(3):
        with pytest.raises(openai.InternalServerError):
            gateway.client("acme").chat.completions.create(model=model, messages=HI, max_tokens=50)


def test_a_malformed_request_costs_nothing(gateway, fake, limited):
    model = limited(org=Limit(requests_per_minute=1))
    for _ in range(3):
        assert gateway.raw("/v1/chat/completions", {"model": model}, secret=gateway.secrets["acme"])[0] == 400
    gateway.client("acme").chat.completions.create(model=model, messages=HI)


def test_a_stream_tells_the_limits_in_its_headers_too(gateway, limited):
    model = limited(org=Limit(requests_per_minute=5, tokens_per_minute=1000))
    body = {"model": model, "messages": HI, "stream": True, "max_tokens": 5}
    status, headers, raw = gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])
    assert (status, headers["x-ratelimit-remaining-requests"]) == (200, "4")
    assert raw.endswith(b"data: [DONE]\n\n")
    status, headers, raw = gateway.raw(
        "/v1/chat/completions", {**body, "max_tokens": 950}, secret=gateway.secrets["acme"]
    )
    assert (status, headers["content-type"]) == (429, "application/json")
    assert json.loads(raw)["error"]["code"] == "rate_limit_exceeded"


LONG = "0123456789" * 480


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("completions", {"prompt": LONG, "messages": []}),
        ("completions", {"prompt": list(range(4_800)), "messages": HI}),
        ("completions", {"prompt": "x", "suffix": LONG}),
        ("chat/completions", {"messages": HI, "chat_template_kwargs": {"messages": [{"content": LONG}]}}),
        ("chat/completions", {"messages": HI, "documents": [{"text": LONG}]}),
        ("chat/completions", {"messages": HI, "response_format": {"schema": LONG}}),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "input_text", "text": LONG}]}]},
        ),
        ("chat/completions", {"messages": HI, "max_tokens": 500, "n": 4}),
    ],
)
def test_no_field_carries_more_tokens_past_the_limit_than_another(gateway, fake, limited, path, body):
    model = limited(org=Limit(tokens_per_minute=2_000))
    sent = {"model": model, "max_tokens": 5, **body}
    status, _, raw = gateway.raw(f"/v1/{path}", sent, secret=gateway.secrets["acme"])
    assert (status, json.loads(raw)["error"]["code"]) == (429, "rate_limit_exceeded")
    assert fake.requests == []

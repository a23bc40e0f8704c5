"""What a client that hangs up owes: what the engine did, by its own count or else by a bound that says so."""

import contextlib
import json

import pytest

from slipway.catalog.deployment import Limit, Limits

HI = [{"role": "user", "content": "hi"}]
LONG = [{"role": "user", "content": "one two three " * 200}]


@pytest.fixture(scope="module")
def prompt_tokens(shared_gateway, engine) -> int:
    """The engine's own count of LONG."""
    from slipway.records import routes

    shared_gateway.route(
        routes.Route(
            model="counts", deployment="counts", revision="d" * 64, upstreams=(f"{engine}/v1",),
            upstream_model="counts", sharing="all",
        )
    )  # fmt: skip
    client = shared_gateway.client("acme")
    return client.chat.completions.create(model="counts", messages=LONG, max_tokens=1).usage.prompt_tokens


@pytest.mark.parametrize("counts", [True, False], ids=["that says its counts", "that does not"])
def test_one_token_of_a_real_engine_costs_the_prompt(
    gateway, engine, route, eventually, prompt_tokens, counts
):
    gateway.route(route("chat", f"{engine}/v1"))
    body = {"model": "chat", "messages": LONG, "stream": True, "ignore_eos": True, "max_tokens": 100}
    with gateway.hanging_up_after({**body, "timings_per_token": counts}, events=1):
        pass
    eventually(lambda: gateway.status()["in_flight"] == {})
    (event,) = gateway.events()
    assert event["status"] == "cancelled"
    if counts:
        assert (event["input_tokens"], event["counted_by"]) == (prompt_tokens, "engine")
    else:
        text = len(LONG[0]["content"])
        assert prompt_tokens <= event["input_tokens"] <= text + 100
        assert event["counted_by"] == "bound"


@pytest.mark.parametrize(
    "said",
    [
        None,
        {"continuous_usage_stats": False},
        {"continuous_usage_stats": "no", "include_usage": False},
        {"x": 1},
    ],
)
def test_a_client_cannot_switch_the_engines_counts_off(gateway, fake, route, said):
    gateway.route(route("chat", fake.url))
    body = {"model": "chat", "messages": HI, "stream": True, "stream_options": said}
    status, _, raw = gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])
    assert status == 200 and b"usage" not in raw
    asked = fake.requests[-1]["stream_options"]
    assert (asked["include_usage"], asked["continuous_usage_stats"]) == (True, True)
    assert asked == {**(said or {}), "include_usage": True, "continuous_usage_stats": True}


@pytest.mark.parametrize("stream", [True, False])
def test_hanging_up_before_anything_came_costs_the_prompts_bound_and_counts_in_the_limits(
    gateway, fake, route, eventually, stream
):
    name, limit = f"gone-{stream}".lower(), Limits(org=Limit(tokens_per_minute=1_000))
    gateway.route(route(name, fake.url, upstream_model="hangs", limits=limit))
    body = {"model": name, "messages": HI, "stream": stream, "max_tokens": 3}
    with gateway.hanging_up_after(body, events=0):
        eventually(lambda: fake.requests)
    eventually(lambda: fake.hung_up == 1)
    eventually(lambda: gateway.status()["in_flight"] == {})
    (event,) = gateway.events()
    assert (event["status"], event["counted_by"]) == ("cancelled", "bound")
    assert len("hi") < event["input_tokens"] < 100
    # Of a stream nothing had come; of an answer in one piece its time allows some of its three tokens.
    assert event["output_tokens"] == 0 if stream else 1 <= event["output_tokens"] <= 3
    gateway.route(route(name, fake.url, limits=limit))
    _, headers, _ = gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])
    held = 1_000 - int(headers["x-ratelimit-remaining-tokens"])
    assert held >= 2 * event["input_tokens"] + event["output_tokens"] + 3


def test_the_time_of_an_answer_bounds_it_by_what_the_deployment_was_seen_to_do(
    gateway, fake, route, eventually
):
    """An answer of 10,000 tokens comes at once: then most of what is asked may have been made in any time."""
    gateway.route(route("fast", fake.url))
    body = {"model": "fast", "messages": HI, "max_tokens": 100_000}
    assert gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])[0] == 200
    gateway.route(route("fast", fake.url, upstream_model="hangs"))
    with gateway.hanging_up_after({**body, "max_tokens": 50}, events=0):
        eventually(lambda: len(fake.requests) == 2)
    eventually(lambda: gateway.status()["in_flight"] == {})
    assert [event["output_tokens"] for event in gateway.events()] == [100_000, 50]


@pytest.mark.parametrize("behaviour", ["500", "drops", "hangs", "not-json"])
def test_an_engine_that_fails_before_anything_came_costs_nothing(gateway, fake, route, behaviour):
    gateway.route(route("chat", fake.url, upstream_model=behaviour, timeout_s=0.2))
    for stream in (True, False):
        body = {"model": "chat", "messages": HI, "stream": stream}
        with contextlib.suppress(OSError):
            gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])
    for event in gateway.events():
        found = event["status"], event["input_tokens"], event["output_tokens"], event["counted_by"]
        assert found == ("server_error", 0, 0, "none")


def test_the_log_says_by_what_was_counted(gateway, fake, route, eventually):
    gateway.route(route("chat", fake.url))
    body = {"model": "chat", "messages": HI}
    gateway.raw("/v1/chat/completions", body, secret=gateway.secrets["acme"])
    eventually(lambda: '"message":"request"' in gateway.log())
    lines = [json.loads(line) for line in gateway.log().splitlines() if '"message":"request"' in line]
    assert [line["counted_by"] for line in lines] == ["engine"]

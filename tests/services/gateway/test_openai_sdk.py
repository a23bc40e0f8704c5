import json
import time
import urllib.request

import openai
import pytest

from slipway.gateway.api.prompts import CHAT, COMPLETION

HI = [{"role": "user", "content": "Say hi in five words."}]
# `ignore_eos` is llama.cpp's: exactly six tokens, whatever the dice say.
SIX = {"model": "chat", "max_tokens": 6, "extra_body": {"ignore_eos": True}}


@pytest.fixture
def acme(gateway, engine, route) -> openai.OpenAI:
    """The unmodified SDK as a tenant of a gateway in front of a real engine."""
    gateway.route(route("chat", f"{engine}/v1"))
    return gateway.client("acme")


def counts(event: dict) -> tuple[int, int, int]:
    return event["input_tokens"], event["cached_tokens"], event["output_tokens"]


def seen(usage) -> tuple[int, int, int]:
    return usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens


def test_what_the_client_sees_is_what_is_recorded_streamed_or_not_chat_or_completion(gateway, acme):
    clients_view = []
    chat = acme.chat.completions.create(messages=HI, **SIX)
    clients_view.append(seen(chat.usage))
    options = {**SIX, "stream": True, "stream_options": {"include_usage": True}}
    for chunks in (
        list(acme.chat.completions.create(messages=HI, **options)),
        list(acme.completions.create(prompt="The capital of France is", **options)),
    ):
        assert {chunk.model for chunk in chunks} == {"chat"}
        assert [chunk for chunk in chunks if chunk.usage] == chunks[-1:]
        clients_view.append(seen(chunks[-1].usage))
    completion = acme.completions.create(prompt="The capital of France is", **SIX)
    clients_view.append(seen(completion.usage))
    events = gateway.events()
    assert [counts(event) for event in events] == clients_view
    assert all(output == 6 for _, _, output in clients_view)
    assert (chat.model, completion.model) == ("chat", "chat")


def test_a_stream_without_usage_asked_shows_none_and_is_recorded_all_the_same(gateway, acme):
    chat = list(acme.chat.completions.create(messages=HI, stream=True, **SIX))
    completion = list(acme.completions.create(prompt="The capital of France is", stream=True, **SIX))
    for chunks in (chat, completion):
        assert all(chunk.choices for chunk in chunks)
        assert not any("usage" in chunk.model_fields_set for chunk in chunks)
        assert chunks[-1].choices[0].finish_reason == "length"
    assert [event["output_tokens"] for event in gateway.events()] == [6, 6]


def test_the_event_says_who_what_and_how_long(gateway, acme):
    started = time.perf_counter()
    chunks = list(acme.chat.completions.create(messages=HI, stream=True, **SIX))
    took_us = (time.perf_counter() - started) * 1e6
    acme.chat.completions.create(messages=HI, **SIX)
    streamed, whole = gateway.events()
    assert (len(chunks) > 2, streamed["output_tokens"]) == (True, 6)  # half a character waits for the rest
    assert {name: streamed[name] for name in ("org", "user", "api_key", "model", "deployment", "status")} == {
        "org": "acme",
        "user": "someone",
        "api_key": gateway.key_ids["acme"],
        "model": "chat",
        "deployment": "chat",
        "status": "success",
    }
    assert 0 < streamed["ttft_us"] < streamed["duration_us"] < took_us
    assert 0 < streamed["max_gap_us"] < streamed["duration_us"] - streamed["ttft_us"]
    assert (whole["stream"], whole["ttft_us"], whole["max_gap_us"]) == (False, None, None)
    assert (streamed["attempt"], streamed["cold_start"], streamed["error_type"]) == (1, False, None)


def test_tokens_are_forwarded_as_they_come(gateway, fake, route):
    """The engine goes on when the client has its first tokens: a stream that was held back never would."""
    gateway.route(route("chat", fake.url, upstream_model="pauses"))
    stream = iter(gateway.client("acme").chat.completions.create(model="chat", messages=HI, stream=True))
    first = [next(stream).choices[0].delta.content for _ in range(3)]
    assert first == ["t0", "t1", "t2"]
    fake.release.set()
    assert list(stream) == []


def test_fields_that_the_gateway_does_not_know_reach_the_engine(acme):
    """`logprobs` and llama.cpp's own `n_probs` and `grammar` are none of the gateway's business."""
    answer = acme.chat.completions.create(
        model="chat",
        messages=HI,
        max_tokens=4,
        logprobs=True,
        top_logprobs=2,
        extra_body={"grammar": 'root ::= "yes"'},
    )
    assert answer.choices[0].message.content == "yes"
    assert answer.choices[0].logprobs.content


def test_models_are_listed_and_described(acme, gateway, engine, route):
    gateway.route(
        route("b", f"{engine}/v1"), route("a", f"{engine}/v1"), route("no", f"{engine}/v1", sharing="none")
    )
    assert [model.id for model in acme.models.list()] == ["a", "b"]
    assert acme.models.retrieve("a").id == "a"
    with pytest.raises(openai.NotFoundError):
        acme.models.retrieve("no")


def test_what_the_engine_refuses_reaches_the_client_in_openais_shape(gateway, acme):
    with pytest.raises(openai.BadRequestError, match="exceeds the available context size"):
        acme.chat.completions.create(model="chat", messages=[{"role": "user", "content": "7" * 9000}])
    (event,) = gateway.events()
    assert (event["status"], event["deployment"], event["output_tokens"]) == ("client_error", "chat", 0)


def test_no_prompt_has_more_tokens_than_the_gateway_reserves(engine):
    """The demo model's tokenizer and chat template against the bound that limits rely on."""
    allowance = CHAT.template_tokens

    def tokens_of(text: str) -> int:
        return len(ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"])

    def ask(path: str, body: dict) -> dict:
        request = urllib.request.Request(engine + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=90) as reply:
            return json.load(reply)

    for text in (
        "",
        "a",
        "7" * 500,
        "\n \t  " * 50,
        "Grüße, 世界! 🚀👩‍👩‍👧‍👦",
        "<|im_start|>" * 9,
        "\x7fé" * 20,
        "ﷺ﷽" * 20,
    ):
        messages = [{"role": "user", "content": text}] * 3
        printed = ask("/apply-template", {"messages": messages})["prompt"]
        assert tokens_of(printed) <= allowance + CHAT.bound({"messages": messages}), text
        assert tokens_of(text) <= COMPLETION.bound({"prompt": text}), text

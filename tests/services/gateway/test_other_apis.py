"""Responses, Messages, counting and tokenizing through a gateway to a real engine, by unmodified SDKs."""

import asyncio
import json

import anthropic
import openai
import pytest

HI = [{"role": "user", "content": "Say hi in five words."}]
SIX = {"model": "chat", "extra_body": {"ignore_eos": True}}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 5}},
    "required": ["city"],
}


@pytest.fixture
def acme(gateway, engine, route) -> openai.OpenAI:
    gateway.route(route("chat", f"{engine}/v1"))
    return gateway.client("acme")


@pytest.fixture
def claude(gateway, acme) -> anthropic.Anthropic:
    """Anthropic's SDK, which sends its key as `x-api-key`."""
    return anthropic.Anthropic(
        api_key=gateway.secrets["acme"], base_url=gateway.url, max_retries=0, timeout=60
    )


def counts(event: dict) -> tuple[int, int, int]:
    return event["input_tokens"], event["cached_tokens"], event["output_tokens"]


def seen(usage) -> tuple[int, int, int]:
    return usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens


def seen_by_claude(usage) -> tuple[int, int, int]:
    cached = usage.cache_read_input_tokens or 0
    return usage.input_tokens + cached, cached, usage.output_tokens


def test_responses_are_counted_as_the_client_sees_it_streamed_or_not(gateway, acme):
    whole = acme.responses.create(input="Say hi.", max_output_tokens=6, **SIX)
    assert (whole.model, whole.status, bool(whole.output_text)) == ("chat", "completed", True)
    events = list(acme.responses.create(input=HI, max_output_tokens=6, stream=True, **SIX))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]
    assert (last.type, last.response.model) == ("response.completed", "chat")
    assert "".join(deltas) == last.response.output_text != ""
    assert not any("timings" in event.model_fields_set for event in events)
    recorded = gateway.events()
    assert [counts(event) for event in recorded] == [seen(whole.usage), seen(last.response.usage)]
    assert [event["output_tokens"] for event in recorded] == [6, 6]
    assert recorded[0]["ttft_us"] is None and 0 < recorded[1]["ttft_us"] < recorded[1]["duration_us"]


def test_what_refers_to_a_kept_response_is_refused_with_the_reason(gateway, acme):
    for more in (
        {"previous_response_id": "resp_1"},
        {"background": True},
        {"extra_body": {"conversation": "c"}},
    ):
        with pytest.raises(openai.BadRequestError, match="keeps no responses"):
            acme.responses.create(model="chat", input="Hi", **more)
    for ask in (acme.responses.retrieve, acme.responses.delete, acme.responses.cancel):
        with pytest.raises(openai.NotFoundError, match="keeps no responses"):
            ask("resp_1")
    assert [event["status"] for event in gateway.events()] == ["client_error"] * 3


def test_messages_are_counted_as_the_client_sees_it_streamed_or_not(gateway, claude):
    whole = claude.messages.create(messages=HI, max_tokens=6, **SIX)
    assert (whole.model, whole.content[0].type) == ("chat", "text")
    with claude.messages.stream(messages=HI, max_tokens=6, **SIX) as stream:
        text = "".join(stream.text_stream)
        last = stream.get_final_message()
    assert text == last.content[0].text != ""
    assert last.model == "chat"
    assert last.stop_reason in {"max_tokens", "end_turn"}  # as the dice say
    recorded = gateway.events()
    assert [counts(event) for event in recorded] == [seen_by_claude(whole.usage), seen_by_claude(last.usage)]
    assert all(0 < event["output_tokens"] <= 6 for event in recorded)
    assert 0 < recorded[1]["ttft_us"] < recorded[1]["duration_us"]


def test_tokens_are_counted_and_made_for_nothing(gateway, acme, claude):
    counted = claude.messages.count_tokens(model="chat", messages=HI)
    assert counted.input_tokens > 10
    tokens = json.loads(
        gateway.raw("/tokenize", {"model": "chat", "content": "hello there"}, secret=gateway.secrets["acme"])[
            2
        ]
    )["tokens"]
    text = json.loads(
        gateway.raw("/v1/detokenize", {"model": "chat", "tokens": tokens}, secret=gateway.secrets["acme"])[2]
    )["content"]
    assert text == "hello there"
    for event in gateway.events():
        assert (counts(event), event["counted_by"], event["status"]) == ((0, 0, 0), "none", "success")


def test_both_sdks_tell_errors_by_their_own_classes(gateway, acme, claude, fake, route):
    with pytest.raises(anthropic.NotFoundError) as missing:
        claude.messages.create(model="nope", messages=HI, max_tokens=5)
    assert missing.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError, match="`messages` must be") as bad:
        claude.messages.create(model="chat", messages=[], max_tokens=5)
    assert bad.value.body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.BadRequestError, match="exceeds the available context size"):
        claude.messages.create(model="chat", messages=[{"role": "user", "content": "7" * 9000}], max_tokens=5)
    with pytest.raises(anthropic.AuthenticationError) as unknown:
        claude.with_options(api_key="nope").messages.create(model="chat", messages=HI, max_tokens=5)
    assert unknown.value.body["error"]["type"] == "authentication_error"
    with pytest.raises(openai.AuthenticationError):
        acme.with_options(api_key="nope").responses.create(model="chat", input="Hi")
    with pytest.raises(openai.NotFoundError):
        acme.responses.create(model="nope", input="Hi")
    with pytest.raises(openai.BadRequestError, match="is for text-generation and does not answer"):
        acme.post("/rerank", body={"model": "chat", "query": "q", "documents": ["a"]}, cast_to=object)
    limits = {"org": {"requests_per_minute": 1}}
    gateway.route(
        route("small", fake.url, upstream_model="500", limits=limits), route("500", fake.url, deployment="f")
    )
    with pytest.raises(openai.InternalServerError):
        acme.responses.create(model="500", input="Hi")
    with pytest.raises(anthropic.InternalServerError) as broken:
        claude.messages.create(model="500", messages=HI, max_tokens=5)
    assert broken.value.body["error"]["type"] == "api_error"
    assert b"secret detail" not in json.dumps(broken.value.body).encode()


def test_limits_of_requests_are_each_sdks_rate_limit_error(gateway, acme, claude, engine, route):
    limits = {"org": {"requests_per_minute": 2}}
    gateway.route(route("chat", f"{engine}/v1", deployment="limited", limits=limits))
    claude.messages.create(model="chat", messages=HI, max_tokens=1)
    acme.responses.create(model="chat", input="Hi", max_output_tokens=1)
    with pytest.raises(anthropic.RateLimitError) as limited:
        claude.messages.create(model="chat", messages=HI, max_tokens=1)
    assert limited.value.body["error"]["type"] == "rate_limit_error"
    with pytest.raises(openai.RateLimitError):
        acme.responses.create(model="chat", input="Hi", max_output_tokens=1)


def test_limits_in_tokens_bind_answers_under_each_apis_own_name(gateway, acme, claude, engine, route):
    limits = {"org": {"tokens_per_minute": 260}}
    gateway.route(route("chat", f"{engine}/v1", deployment="bound", limits=limits))
    more = {"model": "chat", "extra_body": {"ignore_eos": True, "n_predict": 900}}
    answer = acme.responses.create(input="Say hi.", **more)
    assert answer.usage.output_tokens <= 80
    message = claude.messages.create(messages=HI, max_tokens=7, **more)
    assert 0 < message.usage.output_tokens <= 7
    assert gateway.status()["reserved_tokens"] == 0


def test_structured_output_passes_both_ways(acme):
    format_ = {"type": "json_schema", "json_schema": {"name": "w", "schema": CITY, "strict": True}}
    told = acme.chat.completions.create(model="chat", messages=HI, response_format=format_, max_tokens=60)
    assert list(json.loads(told.choices[0].message.content)) == ["city"]


def test_the_asynchronous_sdks_do_the_same(gateway, acme):
    async def ask() -> list[str]:
        options = {"api_key": gateway.secrets["acme"], "max_retries": 0}
        async with (
            openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", **options) as gpt,
            anthropic.AsyncAnthropic(base_url=gateway.url, **options) as claude,
        ):
            chat = await gpt.chat.completions.create(model="chat", messages=HI, max_tokens=3, stream=True)
            chunks = [chunk async for chunk in chat]
            response = await gpt.responses.create(model="chat", input="Hi", max_output_tokens=3)
            message = await claude.messages.create(model="chat", messages=HI, max_tokens=3)
            models = [model.id async for model in gpt.models.list()]
            return [chunks[-1].model, response.model, message.model, *models]

    assert asyncio.run(ask()) == ["chat"] * 4

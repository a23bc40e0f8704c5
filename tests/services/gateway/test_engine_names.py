"""Some runtimes give models names of their own: tenants ask for theirs, engines hear their own."""

import json
from urllib.parse import quote

import openai
import pytest

HI = [{"role": "user", "content": "hi"}]
OWN = "chat-1a2b3c4d_tone"  # as KubeAI calls an adapter of a revision


@pytest.fixture
def acme(gateway) -> openai.OpenAI:
    return gateway.client("acme")


def test_a_tenant_asks_for_its_name_and_the_engine_for_its_own(gateway, acme, fake, route):
    gateway.route(route("tone", fake.url, upstream_model=OWN))
    whole = acme.chat.completions.create(model="tone", messages=HI)
    chunks = list(acme.chat.completions.create(model="tone", messages=HI, stream=True))
    assert [asked["model"] for asked in fake.requests] == [OWN, OWN]
    assert (whole.model, {chunk.model for chunk in chunks}) == ("tone", {"tone"})
    assert [model.id for model in acme.models.list()] == ["tone"]
    with pytest.raises(openai.NotFoundError):
        acme.chat.completions.create(model=OWN, messages=HI)
    assert [event["model"] for event in gateway.events() if event["status"] == "success"] == ["tone", "tone"]


def test_an_engines_refusal_says_the_tenants_name(gateway, acme, fake, route):
    gateway.route(route("tone", fake.url, upstream_model="refuses-1a2b3c4d"))
    with pytest.raises(openai.BadRequestError, match="too large for the model `tone`") as caught:
        acme.chat.completions.create(model="tone", messages=HI)
    assert caught.value.param == "max_tokens"


def test_renamed_chunks_are_not_held_back(gateway, acme, fake, route):
    gateway.route(route("tone", fake.url, upstream_model="pauses"))  # after three chunks, until it is let go
    stream = iter(acme.chat.completions.create(model="tone", messages=HI, stream=True))
    seen = [next(stream) for _ in range(3)]
    assert not fake.release.is_set()
    assert {chunk.model for chunk in seen} == {"tone"}
    fake.release.set()
    assert list(stream) == []


def test_where_the_engine_uses_the_tenants_name_its_bytes_pass_untouched(gateway, fake, route):
    """The fake writes JSON with spaces, the gateway without: what it rewrote would show."""
    gateway.route(route("x", fake.url))  # the fake calls every model x
    asked = {"model": "x", "messages": HI}
    _, _, whole = gateway.raw("/v1/chat/completions", asked, secret=gateway.secrets["acme"])
    _, _, streamed = gateway.raw(
        "/v1/chat/completions", {**asked, "stream": True}, secret=gateway.secrets["acme"]
    )
    assert whole == json.dumps(json.loads(whole)).encode()
    *chunks, done = streamed.removesuffix(b"\n\n").split(b"\n\n")
    assert done == b"data: [DONE]" and len(chunks) == 3
    for chunk in chunks:
        assert chunk == b"data: " + json.dumps(json.loads(chunk.removeprefix(b"data: "))).encode()


@pytest.mark.parametrize(
    "name", ["meta-llama/Llama-3.1-8B-Instruct", "qwen2.5-coder:1.5b", "a?b#c%20d", "modèle 七", "../x", "."]
)
def test_any_name_is_asked_for_listed_and_looked_up(gateway, acme, fake, route, name):
    gateway.route(route(name, fake.url, deployment="chat", upstream_model="x", served_name="chat"))
    answer = acme.chat.completions.create(model=name, messages=HI)
    assert (answer.model, fake.requests[-1]["model"]) == (name, "x")
    assert [model.id for model in acme.models.list()] == [name]
    status, _, body = gateway.raw(f"/v1/models/{quote(name, safe='')}", secret=gateway.secrets["acme"])
    assert (status, json.loads(body)["id"]) == (200, name)
    (event,) = gateway.events()
    assert (event["model"], event["deployment"]) == (name, "chat")


def test_a_name_with_slashes_is_looked_up_as_clients_write_it(gateway, acme, fake, route):
    name = "meta-llama/Llama-3.1-8B-Instruct"
    gateway.route(route(name, fake.url, upstream_model="x"))
    assert acme.models.retrieve(name).id == name
    assert gateway.raw(f"/v1/models/{name}", secret=gateway.secrets["acme"])[0] == 200

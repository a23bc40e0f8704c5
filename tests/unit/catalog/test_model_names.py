"""Names that clients ask for: any text, several for one deployment, each meaning one thing at an endpoint."""

from typing import Any

import pytest
from pydantic import ValidationError

from slipway.catalog import Catalog, Deployment, Endpoint
from slipway.catalog.rules.model_names import engine_names, requested_names

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def deployment(name: str, **fields: Any) -> Deployment:
    written = {"name": name, "model": "m", "engine": "e", "runtime": "vllm", **fields}
    return Deployment.model_validate(written)


def endpoint(name: str, *deployments: str) -> Endpoint:
    return Endpoint(name=name, host=f"{name}.example.com", deployments=deployments)


def told(catalog: Catalog) -> list[tuple[str, tuple[Any, ...], str]]:
    findings = [*requested_names(catalog), *engine_names(catalog)]
    return [(each.name, each.path, each.message) for each in findings]


@pytest.mark.parametrize(
    "name",
    [
        LLAMA,
        "gpt-4o",
        "qwen2.5-coder:1.5b-base-q4_K_M",
        "projects/p/models/m@2",
        "мodel 7b",
        "x" * 256,
        "a?b#c%20d",
    ],
)
def test_a_name_that_a_request_can_hold_can_be_said(name: str) -> None:
    assert deployment("chat", public_names=[name]).requested_names == ((name, "chat"),)


@pytest.mark.parametrize("name", ["", "   ", "x" * 257, "a\nb", "a\x00b", "a\u200bb", "a\u2028b", 7, None])
def test_one_that_cannot_be_seen_or_sent_is_refused(name: object) -> None:
    with pytest.raises(ValidationError):
        deployment("chat", public_names=[name])


def test_without_public_names_the_deployment_s_and_the_adapters_are_asked_for() -> None:
    made = deployment("chat", adapters=["tone", {"adapter": "law", "served_name": "chat-law"}])
    assert made.requested_names == (("chat", "chat"), ("tone", "tone"), ("chat-law", "chat-law"))


def test_public_names_stand_instead_of_them_and_the_engine_keeps_its_own() -> None:
    law = {"adapter": "law", "served_name": "chat-law", "public_names": ["org/Law-1.0", "law"]}
    made = deployment("chat", public_names=[LLAMA, "chat"], adapters=["tone", law])
    assert made.requested_names == (
        (LLAMA, "chat"),
        ("chat", "chat"),
        ("tone", "tone"),
        ("org/Law-1.0", "chat-law"),
        ("law", "chat-law"),
    )
    assert made.served_names == ("chat", "tone", "chat-law")


def test_a_name_means_one_deployment() -> None:
    catalog = Catalog(
        deployments=(deployment("a", public_names=[LLAMA]), deployment("b", public_names=["b", LLAMA]))
    )
    message = f"model name {LLAMA} is served by a and b. Remove it from one of them"
    assert told(catalog) == [("a", ("public_names", 0), message), ("b", ("public_names", 1), message)]


def test_another_deployment_s_own_name_is_taken_and_one_of_a_renamed_one_is_not() -> None:
    taken = Catalog(deployments=(deployment("a"), deployment("b", public_names=["a"])))
    ((owner, path, message),) = told(taken)
    assert (owner, path) == ("b", ("public_names", 0))
    assert message == "model name a is served by a and b. Remove it from one of them"
    free = Catalog(deployments=(deployment("a", public_names=["x"]), deployment("b", public_names=["a"])))
    assert told(free) == []


def test_a_name_given_twice_is_said_to_be() -> None:
    catalog = Catalog(deployments=(deployment("a", public_names=["x", "x"]),))
    assert [path for _, path, _ in told(catalog)] == [("public_names", 0), ("public_names", 1)]
    assert told(catalog)[0][2] == "model name x is served by a twice. Remove it from one of them"


def test_two_endpoints_may_have_the_same_name_and_one_may_not() -> None:
    both = (deployment("stable", public_names=[LLAMA]), deployment("next", public_names=[LLAMA]))
    apart = Catalog(deployments=both, endpoints=(endpoint("live", "stable"), endpoint("beta", "next")))
    assert told(apart) == []
    together = Catalog(deployments=both, endpoints=(endpoint("live", "stable", "next"),))
    assert {message for _, _, message in told(together)} == {
        f"model name {LLAMA} is served by next and stable at endpoint live. Remove it from one of them"
    }


def test_behind_no_endpoint_names_are_one_s_too() -> None:
    both = (deployment("a", public_names=[LLAMA]), deployment("b", public_names=[LLAMA]), deployment("c"))
    catalog = Catalog(deployments=both, endpoints=(endpoint("live", "c"),))
    assert [owner for owner, _, _ in told(catalog)] == ["a", "b"]


def test_an_adapter_listed_twice_needs_names_for_the_engine_even_with_public_ones() -> None:
    tones = [{"adapter": "tone", "public_names": ["soft"]}, {"adapter": "tone", "public_names": ["loud"]}]
    catalog = Catalog(deployments=(deployment("chat", adapters=tones),))
    ((owner, path, message),) = told(catalog)
    assert (owner, path) == ("chat", ("adapters", 1))
    assert message.startswith("the engine would call it tone, as it calls another")


def test_an_adapter_with_the_name_of_its_own_deployment_is_told_once() -> None:
    hidden = deployment("chat", public_names=[LLAMA], adapters=[{"adapter": "a", "served_name": "chat"}])
    ((_, path, message),) = told(Catalog(deployments=(hidden,)))
    assert (path, message.split(",")[0]) == (("adapters", 0), "the engine would call it chat")
    plain = deployment("chat", adapters=[{"adapter": "a", "served_name": "chat"}])
    assert len(told(Catalog(deployments=(plain,)))) == 1

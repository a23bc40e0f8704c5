"""From revisions to routes: the engine's own names go along, and change nothing of what a tenant may do."""

from dataclasses import replace

import pytest

from slipway.catalog import Catalog
from slipway.control.routing import Target, desired_policy, routed_revisions, switched, table_of, target_of
from slipway.records.revisions import Revision

CATALOG = Catalog.model_validate(
    {
        "models": [{"name": "m", "source": f"hf://o/m@{'1' * 40}"}],
        "adapters": [{"name": "tone", "base": "m", "source": f"hf://o/a@{'1' * 40}"}],
        "engines": [{"name": "e", "server": "vllm"}],
        "deployments": [
            {"name": "chat", "model": "m", "engine": "e", "runtime": "kubeai", "adapters": ["tone"]}
        ],
    }
)
OWN = {"chat": "chat-1a2b3c4d", "tone": "chat-1a2b3c4d_tone"}
UPSTREAM = "http://kubeai.kubeai.svc:80/openai/v1"


def test_routes_carry_the_engine_s_own_names() -> None:
    table = table_of(CATALOG, {"chat": Target("d" * 64, UPSTREAM, OWN)})
    assert {name: route.upstream_model for name, route in table.by_model.items()} == OWN
    plain = table_of(CATALOG, {"chat": Target("d" * 64, UPSTREAM)})
    assert {name: route.upstream_model for name, route in plain.by_model.items()} == {n: n for n in OWN}


def test_a_revision_with_names_of_its_own_is_no_drift_of_the_catalog() -> None:
    table = table_of(CATALOG, {"chat": Target("d" * 64, UPSTREAM, OWN)})
    assert routed_revisions(table)["chat"].policy == desired_policy(CATALOG, CATALOG.deployments[0])
    shared = CATALOG.deployments[0].model_copy(update={"sharing": "all"})
    assert routed_revisions(table)["chat"].policy != desired_policy(CATALOG, shared)


TWO = Catalog.model_validate(
    {
        "models": [{"name": "m", "source": f"hf://o/m@{'1' * 40}"}],
        "adapters": [{"name": "tone", "base": "m", "source": f"hf://o/a@{'1' * 40}"}],
        "engines": [{"name": "e", "server": "vllm"}],
        "deployments": [
            {"name": "chat", "model": "m", "engine": "e", "runtime": "kubeai", "adapters": ["tone"]},
            {"name": "other", "model": "m", "engine": "e", "runtime": "kubeai"},
            {"name": "new", "model": "m", "engine": "e", "runtime": "kubeai"},
        ],
    }
)


def test_going_back_changes_the_revision_of_one_deployment_and_nothing_that_was_not_asked_for() -> None:
    """The catalog shares all by now, and has other limits: none of that is published by the way."""
    published = table_of(
        TWO, {"chat": Target("b" * 64, UPSTREAM, OWN), "other": Target("c" * 64, "http://o/v1")}
    )
    edited = TWO.model_copy(
        update={"deployments": tuple(each.model_copy(update={"sharing": "all"}) for each in TWO.deployments)}
    )
    back = Target("a" * 64, "http://back/v1", {"chat": "chat-old"})
    table = switched(published, edited, edited.deployments[0], back)
    assert table.by_model["other"] == published.by_model["other"]
    for name, own in {"chat": "chat-old", "tone": "tone"}.items():
        assert table.by_model[name] == published.by_model[name].model_copy(
            update={"revision": "a" * 64, "upstreams": ("http://back/v1",), "upstream_model": own}
        )
    assert set(table.by_model) == {"chat", "tone", "other"}


def test_a_deployment_that_has_no_route_yet_comes_as_the_catalog_says() -> None:
    published = table_of(TWO, {"other": Target("c" * 64, "http://o/v1")})
    table = switched(published, TWO, TWO.deployments[2], Target("a" * 64, "http://new/v1"))
    assert table.by_model["other"] == published.by_model["other"]
    assert table.by_model["new"].revision == "a" * 64


LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def named(**fields: object) -> Catalog:
    chat = {"name": "chat", "model": "m", "engine": "e", "runtime": "kubeai", **fields}
    spare = {"name": "spare", "model": "m", "engine": "e", "runtime": "kubeai"}
    endpoints = [{"name": "live", "host": "a.example.com", "deployments": ["chat"]}]
    return Catalog.model_validate(
        {**CATALOG.model_dump(), "deployments": [chat, spare], "endpoints": endpoints}
    )


def test_each_public_name_leads_to_what_the_engine_calls_the_model() -> None:
    catalog = named(
        public_names=[LLAMA, "chat"], adapters=[{"adapter": "tone", "public_names": ["org/Tone-1.5"]}]
    )
    table = table_of(catalog, {"chat": Target("d" * 64, UPSTREAM, OWN)})
    assert {route.model: route.upstream_model for route in table.routes} == {
        LLAMA: OWN["chat"],
        "chat": OWN["chat"],
        "org/Tone-1.5": OWN["tone"],
    }
    back = switched(table, catalog, catalog.deployments[0], Target("a" * 64, UPSTREAM, {"chat": "chat-old"}))
    assert {route.model: route.upstream_model for route in back.routes} == {
        LLAMA: "chat-old",
        "chat": "chat-old",
        "org/Tone-1.5": "tone",
    }


def test_a_new_public_name_changes_the_route_and_is_drift() -> None:
    table = table_of(named(), {"chat": Target("d" * 64, UPSTREAM)})
    policy = routed_revisions(table)["chat"].policy
    assert policy == desired_policy(named(), named().deployment("chat"))
    renamed = named(public_names=[LLAMA])
    assert policy != desired_policy(renamed, renamed.deployment("chat"))


def test_routes_say_whose_gateways_serve_them() -> None:
    targets = {name: Target("d" * 64, UPSTREAM) for name in ("chat", "spare")}
    table = table_of(named(), targets)
    assert {r.deployment: r.endpoints for r in table.routes} == {"chat": None, "spare": ()}


@pytest.mark.parametrize(
    ("server", "isolates", "salts"),
    [("vllm", True, True), ("vllm", False, False), ("llama.cpp", True, False), ("gone", True, False)],
)
def test_prompts_are_salted_where_the_serving_engine_takes_a_salt(
    server: str, isolates: bool, salts: bool
) -> None:
    spec = {"engine": {"server": server}, "deployment": {"isolate_prompt_cache": isolates}}
    now = "2026-01-31T09:00:00+00:00"
    served = ("chat", "tone")
    recorded = Revision(
        "chat", "d" * 64, "chat-dddddddd", "blue-green", UPSTREAM, served, "validated", spec, {}, now
    )
    target = target_of(recorded)
    table = table_of(CATALOG, {"chat": target})
    assert {route.salts_prompts for route in table.routes} == {salts}
    before = table_of(CATALOG, {"chat": replace(target, salts_prompts=not salts)})
    moved = switched(before, CATALOG, CATALOG.deployments[0], target)
    assert {route.salts_prompts for route in moved.routes} == {salts}
    assert {each.policy for each in routed_revisions(before).values()} == {
        each.policy for each in routed_revisions(moved).values()
    }

"""From revisions to routes: the engine's own names go along, and change nothing of what a tenant may do."""

from slipway.catalog import Catalog
from slipway.control.routing import Target, desired_policy, routed_revisions, switched, table_of

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

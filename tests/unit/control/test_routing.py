"""From revisions to routes: the engine's own names go along, and change nothing of what a tenant may do."""

from slipway.catalog import Catalog
from slipway.control.routing import Target, desired_policy, routed_revisions, table_of

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

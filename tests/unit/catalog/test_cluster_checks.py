"""What an API server would refuse is refused by the check, with the field and the remedy."""

from typing import Any

import pytest
from pydantic import ValidationError

from slipway.catalog import Catalog, Deployment, Endpoint
from slipway.catalog.problems import dotted
from slipway.catalog.rules.documents import RULES

CHAT = {"name": "chat", "model": "m", "engine": "e", "runtime": "vllm"}


def said(**fields: Any) -> dict[str, str]:
    """Messages about one deployment, by field; its references are not judged."""
    made = Catalog(deployments=(Deployment.model_validate({**CHAT, **fields}),))
    found = [each for rule in RULES for each in rule(made)]
    return {dotted(each.path): each.message for each in found if each.path not in (("model",), ("engine",))}


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"env": {"A B": "x"}}, "env.A B", "'A B' is no variable's name"),
    ({"env": {"SLIPWAY_SPEC_DIGEST": "x"}}, "env.SLIPWAY_SPEC_DIGEST", "is set by Slipway itself"),
    (
        {"secrets": [{"name": "AWS_ACCESS_KEY_ID", "secret": "s"}]},
        "secrets[0].name",
        "is set by Slipway itself",
    ),
    ({"env": {"A": "x"}, "secrets": [{"name": "A", "secret": "s"}]}, "secrets[0].name", "A is given 2 times"),
    ({"node_selector": {"bad key!": "a"}}, "node_selector.bad key!", "no label's key"),
    ({"node_selector": {"zone": "a b"}}, "node_selector.zone", "no label's value"),
    ({"tolerations": [{"key": "a b"}]}, "tolerations[0].key", "no taint's key"),
    ({"resources": {"gpu": {"class": "H 100"}}}, "resources.gpu.class", "no label's value"),
    ({"load_balancing": {"prefix_length": 50}}, "load_balancing.prefix_length", "strategy = prefix-hash"),
    ({"isolation": {"runtime_class": "Not A Name"}}, "isolation.runtime_class", "no object's name"),
    ({"resources": {"volume_class": "Not Ok"}}, "resources.volume_class", "no object's name"),
]


@pytest.mark.parametrize(("fields", "field", "message"), REFUSED)
def test_what_an_api_server_refuses_is_told_with_its_field(
    fields: dict[str, Any], field: str, message: str
) -> None:
    assert message in said(**fields)[field]


@pytest.mark.parametrize(
    "fields",
    [
        {"env": {"HF_HUB_OFFLINE": "1", "a.b-c": "x"}},
        {"node_selector": {"topology.kubernetes.io/zone": "eu-1a", "empty": ""}},
        {"tolerations": [{"key": "nvidia.com/gpu"}], "resources": {"gpu": {"class": "h100"}}},
        {"isolation": {"runtime_class": "gvisor"}, "resources": {"volume_class": "fast.local"}},
    ],
)
def test_what_it_takes_is_no_finding(fields: dict[str, Any]) -> None:
    assert said(**fields) == {}


def test_a_service_of_an_alias_is_no_other_deployments() -> None:
    named = (("chat", True), ("chat-predictor", False))
    made = tuple(Deployment.model_validate({**CHAT, "name": name, "alias": alias}) for name, alias in named)
    found = [each for rule in RULES for each in rule(Catalog(deployments=made)) if each.path == ("alias",)]
    assert [each.message for each in found] == [
        "makes a Service chat-predictor, as that deployment does. Rename one of them"
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"secrets": [{"name": "A", "secret": "s", "env": "B"}]},
        {"rollout": {"deadline_s": float("inf")}},
    ],
)
def test_what_contradicts_itself_or_has_no_end_is_no_deployment(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"both given|finite number"):
        Deployment.model_validate({**CHAT, **fields})


def of_endpoints(*hosts: str, addresses: tuple[str, ...] = ()) -> dict[str, str]:
    pool = {"address_pool": {"addresses": addresses}} if addresses else {}
    endpoints = tuple(
        Endpoint.model_validate({"name": f"e{n}", "host": host, **pool}) for n, host in enumerate(hosts)
    )
    found = [each for rule in RULES for each in rule(Catalog(endpoints=endpoints))]
    return {dotted(each.path): each.message for each in found}


def test_a_host_is_one_endpoints_and_has_parts_that_dns_knows() -> None:
    assert of_endpoints("a.example.com", "A.example.com") == {
        "host": "the host of e0, too. Change one of them"
    }
    assert "a part that is empty" in of_endpoints("a..b")["host"]
    assert "longer than 63" in of_endpoints(f"{'a' * 64}.example.com")["host"]


def test_a_pool_is_of_networks_and_ranges() -> None:
    good = ("10.0.0.0/28", "10.0.0.1-10.0.0.9", "fd00::/120", "10.0.0.5 - 10.0.0.6")
    assert of_endpoints("a.example.com", addresses=good) == {}
    for bad in ("banana", "10.0.0.9-10.0.0.1", "10.0.0.0/40", "10.0.0.1", "10.0.0.1-fd00::1"):
        assert (
            "Write 10.0.0.0/28"
            in of_endpoints("a.example.com", addresses=(bad,))["address_pool.addresses[0]"]
        )

"""A name that a runtime's objects could not have is refused by the check, with how long it may be."""

from typing import Any

import pytest

from slipway.catalog import Catalog, Deployment
from slipway.runtimes import rules

PLAIN = {"model": "m", "engine": "e", "runtime": "vllm"}


def said(**fields: Any) -> list[str]:
    made = Catalog(deployments=(Deployment.model_validate({**PLAIN, **fields}),))
    return [each.message for each in rules.names_fit(made)]


@pytest.mark.parametrize(
    ("fields", "longest"),
    [
        ({}, 54),
        ({"nodes_per_replica": 2}, 40),
        ({"runtime": "kserve"}, 44),
        ({"runtime": "kserve", "adapters": ["tone"]}, 34),
        ({"runtime": "kserve", "nodes_per_replica": 2}, 34),
        ({"runtime": "kubeai"}, 31),
        ({"runtime": "kuberay"}, 41),
        ({"runtime": "dynamo"}, 45),
        ({"runtime": "nim"}, 54),
        ({"runtime": "ray"}, 54),
    ],
)
def test_a_name_is_as_long_as_its_runtime_s_objects_allow(fields: dict[str, Any], longest: int) -> None:
    assert said(name="a" * longest, **fields) == []
    (refused,) = said(name="a" * (longest + 1), **fields)
    assert refused.endswith(f"for runtime {fields.get('runtime', 'vllm')}. Use at most {longest}")


def test_a_service_s_name_begins_with_a_letter() -> None:
    (refused,) = said(name="8b")
    assert refused.endswith("cannot begin with a digit. Put a letter first")
    assert said(name="8b", runtime="ray") == []

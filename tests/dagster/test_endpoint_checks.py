"""What blocks an endpoint follows from its model's task."""

import pytest

from assets.endpoints import check_keys, endpoint_assets
from slipway.catalog import Catalog
from slipway.catalog.digests import of_structure
from slipway.dataplane.validation.validation import checks_of


def catalog(task: str) -> Catalog:
    return Catalog.model_validate(
        {
            "models": [{"name": "m", "source": f"hf://o/m@{'1' * 40}", "task": task}],
            "engines": [{"name": "e", "server": "llama.cpp"}],
            "deployments": [{"name": "d", "model": "m", "engine": "e", "runtime": "ray"}],
        }
    )


@pytest.mark.parametrize("task", ["text-generation", "embedding", "text-to-speech"])
def test_an_endpoint_has_the_checks_of_its_task_and_all_of_them_block(task: str) -> None:
    [endpoint] = endpoint_assets(catalog(task))
    specs = {spec.key: spec for spec in endpoint.check_specs}
    assert set(specs) == set(check_keys("d", task))
    assert {key.name for key in specs} == set(checks_of(task))
    assert all(spec.blocking for spec in specs.values())


def test_another_task_makes_other_assets() -> None:
    assert of_structure(catalog("embedding")) != of_structure(catalog("text-generation"))

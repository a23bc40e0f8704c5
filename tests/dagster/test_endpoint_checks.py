"""What blocks an endpoint follows from its model's task."""

import pytest

from assets import groups, keys
from assets.structure import check_keys, structure_of
from slipway.catalog import Catalog
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
    [endpoint] = groups.build([groups.named("endpoints")], catalog(task))
    specs = {spec.key: spec for spec in endpoint.check_specs}
    assert set(specs) == set(check_keys(structure_of([endpoint]), [keys.endpoint("d")]))
    assert {key.name for key in specs} == set(checks_of(task))
    assert all(spec.blocking for spec in specs.values())


def test_another_task_makes_other_assets() -> None:
    embedding, generation = (
        structure_of(groups.build(groups.GROUPS, catalog(task))) for task in ("embedding", "text-generation")
    )
    assert embedding != generation

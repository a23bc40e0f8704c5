import shutil
from pathlib import Path

import dagster as dg
import pytest

from assets.declared import Declared
from assets.groups import GROUPS, Group
from pipelines.definitions import build_definitions
from resources.all import resources
from slipway.catalog import Catalog

REPOSITORY = Path(__file__).parents[2]
EVOLVED = """---
kind: Deployment
name: second
spec: {model: smollm2-135m, runtime: ray, engine: llama-cpp}
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REPOSITORY / "catalog", tmp_path / "catalog"))


def sensor_of(directory: Path) -> dg.SensorDefinition:
    return build_definitions(directory).resolve_sensor_def("catalog_drift")


def tick(sensor: dg.SensorDefinition, home: Path) -> str:
    """What one evaluation says; it may not ask for a run."""
    given = resources({"SLIPWAY_HOME": str(home)})
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources=given, sensor_name="drift") as context,
    ):
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    assert not result.run_requests
    assert result.skip_reason is not None
    return str(result.skip_reason.skip_message)


def test_a_broken_catalog_changes_nothing_and_the_tick_says_every_problem(
    catalog: Path, tmp_path: Path
) -> None:
    sensor = sensor_of(catalog)
    (catalog / "more.yaml").write_text("kind: Deployment\nname: x\nspec: {runtime: ray}\n")
    said = tick(sensor, tmp_path)
    assert "more.yaml:3  deployments[x].engine: is missing" in said
    assert "more.yaml:3  deployments[x].model: is missing" in said


def test_a_catalog_of_another_shape_waits_for_its_code_location(catalog: Path, tmp_path: Path) -> None:
    sensor = sensor_of(catalog)
    path = catalog / "deployments.yaml"
    path.write_text(path.read_text() + EVOLVED)
    assert "Reload the code location" in tick(sensor, tmp_path)


def test_a_location_that_started_with_a_broken_catalog_is_loaded_again_when_it_is_corrected(
    catalog: Path, tmp_path: Path
) -> None:
    settings = catalog / "settings.yaml"
    settings.write_text("kind: Settings\nname: default\nspec: {drift_attempts: none}\n")
    sensor = sensor_of(catalog)
    assert "drift_attempts" in tick(sensor, tmp_path)
    settings.unlink()
    assert "Reload the code location" in tick(sensor, tmp_path)


def test_without_a_stack_the_tick_says_how_to_start_one(catalog: Path, tmp_path: Path) -> None:
    sensor = sensor_of(catalog)
    assert "slipway up" in tick(sensor, tmp_path)


def test_assets_are_built_once_for_each_edit_of_the_catalog_not_once_for_each_tick(
    catalog: Path, tmp_path: Path
) -> None:
    built: list[Catalog] = []

    def counted(edited: Catalog) -> list[Declared]:
        built.append(edited)
        return []

    counting = Group("counted", None, counted, pool=None)
    definitions = build_definitions(catalog, groups=(*GROUPS, counting))
    sensor = definitions.resolve_sensor_def("catalog_drift")
    assert len(built) == 1  # for the code location itself
    tick(sensor, tmp_path)
    assert len(built) == 1
    path = catalog / "deployments.yaml"
    path.write_text(path.read_text() + EVOLVED)
    for _ in range(3):
        assert "Reload the code location" in tick(sensor, tmp_path)
    assert len(built) == 2

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from assets import keys
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


def says(instance: dg.DagsterInstance) -> list[tuple[bool | None, str]]:
    """What the catalog's check has said, the newest first: whether it passed, and why not."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(keys.CATALOG, "has_no_errors"), limit=10
    )
    evaluations = [each.event.dagster_event.asset_check_evaluation_data for each in records if each.event]  # type: ignore[union-attr]
    return [(each.passed, str(each.description)) for each in evaluations]


def test_a_catalog_with_errors_is_red_in_the_ui_until_it_is_corrected(catalog: Path, tmp_path: Path) -> None:
    sensor = sensor_of(catalog)
    given = resources({"SLIPWAY_HOME": str(tmp_path)})
    odd = catalog / "odd.yaml"
    with dg.DagsterInstance.ephemeral() as instance:

        def tick_twice() -> None:
            for _ in range(2):
                with dg.build_sensor_context(
                    instance=instance, resources=given, sensor_name="drift"
                ) as context:
                    sensor(context)

        tick_twice()
        assert says(instance) == [(True, "no errors")]
        odd.write_text("kind: Organization\nname: [\n")
        tick_twice()
        ((passed, told), before) = says(instance)
        assert (passed, before) == (False, (True, "no errors"))
        assert told.startswith(f"1 error; the first: {odd}:3  document: not YAML")
        odd.unlink()
        tick_twice()
        assert [passed for passed, _ in says(instance)] == [True, False, True]


ODD: dict[str, Callable[[Path], object]] = {
    "an editor's lock": lambda here: (here / ".#x.yaml").symlink_to("me@host.1:1"),
    "a link to itself": lambda here: (here / "x.yaml").symlink_to("x.yaml"),
    "a directory": lambda here: (here / "x.yaml").mkdir(),
    "a pipe": lambda here: os.mkfifo(here / "x.yaml"),
    "no day": lambda here: (here / "x.yaml").write_text(PRICES.format("2026-02-30T00:00:00Z", "1")),
    "before all days": lambda here: (here / "x.yaml").write_text(
        PRICES.format("0001-01-01T00:00:00+14:00", "1")
    ),
    "an infinite price": lambda here: (here / "x.yaml").write_text(
        PRICES.format("2026-01-01T00:00:00Z", "1e400")
    ),
    "no text": lambda here: (here / "x.yaml").write_bytes(b"kind: \xff\0"),
    "an owner that Dagster refuses": lambda here: (here / "x.yaml").write_text(
        "kind: Model\nname: m\nowner: jane@localhost\nspec: {source: 'file:///x'}\n"
    ),
}
PRICES = (
    "kind: PriceBook\nname: b\nspec:\n"
    "  prices: [{{effective_from: {}, input: '{}', cached_input: '0', output: '1'}}]\n"
)


@pytest.mark.parametrize("odd", ODD)
def test_a_code_location_comes_up_beside_any_odd_file_and_comes_back_when_it_is_gone(
    catalog: Path, tmp_path: Path, odd: str
) -> None:
    ODD[odd](catalog)
    definitions = build_definitions(catalog)
    assert keys.CATALOG in definitions.resolve_asset_graph().get_all_asset_keys()
    sensor = definitions.resolve_sensor_def("catalog_drift")
    said = tick(sensor, tmp_path)
    for path in (*catalog.glob("x.yaml"), *catalog.glob(".#x.yaml")):
        path.rmdir() if path.is_dir() else path.unlink()
    if "has errors" in said:
        assert "x.yaml:" in said
        assert "Reload the code location" in tick(sensor, tmp_path)
    else:
        assert "slipway up" in said  # all that it lacks is a stack


def test_what_dagster_refuses_for_a_reason_of_its_own_leaves_the_location_up(
    catalog: Path, tmp_path: Path
) -> None:
    def refused(_catalog: Catalog) -> list[Declared]:
        raise dg.DagsterInvalidDefinitionError("no such tag")

    definitions = build_definitions(catalog, groups=(*GROUPS, Group("refused", None, refused, pool=None)))
    assert keys.ROUTES not in definitions.resolve_asset_graph().get_all_asset_keys()
    assert "no such tag" in tick(definitions.resolve_sensor_def("catalog_drift"), tmp_path)


def test_materializing_the_catalog_checks_it_now(catalog: Path, tmp_path: Path) -> None:
    given = {**resources({"SLIPWAY_HOME": str(tmp_path), "SLIPWAY_CATALOG": str(catalog)})}
    definitions = build_definitions(catalog, resources=given)
    (catalog / "odd.yaml").write_text("kind: Nothing\n")
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(asset_selection=[keys.CATALOG])
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert "odd.yaml:1  kind = Nothing: unknown kind" in str(evaluation.metadata["problems"].value)

"""Every part of the code location can be replaced by name, or added to, by whoever builds it."""

from pathlib import Path

import dagster as dg
import pytest

from assets import keys
from assets.groups import GROUPS
from pipelines.definitions import build_definitions

REPOSITORY = Path(__file__).parents[2]
CATALOG = REPOSITORY / "catalog"


@dg.asset(key=keys.ROUTES, description="other routes")
def other_routes() -> None: ...


@dg.asset(key=["added", "asset"])
def added_asset() -> None: ...


def test_an_asset_takes_the_place_of_that_of_its_key_and_another_is_added() -> None:
    before = build_definitions(CATALOG).resolve_asset_graph()
    after = build_definitions(CATALOG, assets=[other_routes, added_asset]).resolve_asset_graph()
    assert after.get_all_asset_keys() - before.get_all_asset_keys() == {added_asset.key}
    assert before.get_all_asset_keys() <= after.get_all_asset_keys()
    assert after.get(keys.ROUTES).description == "other routes"


def test_a_check_takes_the_place_of_that_of_its_key() -> None:
    @dg.asset_check(asset=keys.weights("smollm2-135m"), name="verified", description="another check")
    def verified() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    before = build_definitions(CATALOG).resolve_asset_graph()
    after = build_definitions(CATALOG, checks=[verified]).resolve_asset_graph()
    assert after.asset_check_keys == before.asset_check_keys
    assert after.get_check_spec(verified.check_key).description == "another check"


def test_a_job_takes_the_place_of_that_of_its_name_and_schedules_and_sensors_follow_it() -> None:
    only_prices = dg.define_asset_job("deploy", selection=[keys.PRICES])
    definitions = build_definitions(CATALOG, jobs=[only_prices])
    assert definitions.resolve_job_def("deploy").asset_layer.executable_asset_keys == {keys.PRICES}
    repository = definitions.get_repository_def()
    assert [each.name for each in repository.get_all_jobs() if not each.name.startswith("__")].count(
        "deploy"
    ) == 1
    assert definitions.resolve_sensor_def("catalog_drift").job_name == "deploy"


def test_a_schedule_and_a_sensor_take_the_place_of_those_of_their_name() -> None:
    @dg.sensor(name="catalog_drift", job_name="deploy")
    def quiet(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason("replaced")

    never = dg.ScheduleDefinition(name="daily_maintenance", job_name="maintenance", cron_schedule="0 4 * * *")
    definitions = build_definitions(CATALOG, schedules=[never], sensors=[quiet])
    assert definitions.resolve_schedule_def("daily_maintenance").cron_schedule == "0 4 * * *"
    assert definitions.resolve_sensor_def("catalog_drift") is quiet
    assert {each.name for each in definitions.sensors or ()} == {
        "alerts",
        "catalog_drift",
        "late_usage",
        "replica_samples",
    }
    assert {each.name for each in definitions.schedules or ()} == {
        "hourly_rollup",
        "running_hour",
        "monthly_invoices",
        "hourly_reports",
        "daily_maintenance",
    }


def test_resources_are_replaced_by_name() -> None:
    default = build_definitions(CATALOG).resources or {}
    given = build_definitions(CATALOG, resources={"gateway": "another", "more": "added"}).resources or {}
    assert (given["gateway"], given["more"]) == ("another", "added")
    assert given.keys() - default.keys() == {"more"}


@pytest.mark.parametrize("job", ["deploy", "rollup", "maintenance"])
def test_an_executor_is_that_of_every_job(job: str) -> None:
    definitions = build_definitions(CATALOG, executor=dg.multiprocess_executor)
    assert definitions.resolve_job_def(job).executor_def is dg.multiprocess_executor
    assert build_definitions(CATALOG).resolve_job_def(job).executor_def is dg.in_process_executor


def test_groups_take_the_place_of_all_groups() -> None:
    without_billing = tuple(group for group in GROUPS if group.name != "billing")
    definitions = build_definitions(CATALOG, groups=without_billing)
    assert keys.PRICES not in definitions.resolve_asset_graph().materializable_asset_keys
    assert keys.PRICES not in definitions.resolve_job_def("deploy").asset_layer.executable_asset_keys

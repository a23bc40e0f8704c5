"""The version before's record of runs, read by this one: what it deployed is not deployed again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets import commits, keys
from pipelines.definitions import build_definitions
from resources.all import resources
from sensors.catalog_drift import REASON_TAG
from slipway.control.check import check_catalog
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.objectstore import ObjectStore

from .conftest import CATALOG

Said = dict[str, Any]


@pytest.fixture
def instance(old_home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(old_home / "dagster")) as instance:
        yield instance


@pytest.mark.parametrize("cursor", ["none", "written by the version before"])
def test_the_drift_sensor_begins_the_price_history_and_finds_all_else_as_the_catalog_says(
    instance: dg.DagsterInstance, variables: dict[str, str], said: Said, cursor: str
) -> None:
    definitions = build_definitions(CATALOG, resources=resources(variables), executor=dg.in_process_executor)

    def tick() -> dg.SensorResult:
        with dg.build_sensor_context(
            instance=instance,
            resources=resources(variables),
            sensor_name="catalog_drift",
            cursor=None if cursor == "none" else said["cursor"],
        ) as context:
            ticked = definitions.resolve_sensor_def("catalog_drift")(context)
        assert isinstance(ticked, dg.SensorResult)
        return ticked

    # Prices stood in the warehouse's file alone.
    [request] = tick().run_requests or ()
    assert request.asset_selection == [keys.PRICES]
    assert "the warehouse's prices begin it" in request.tags[REASON_TAG]
    job = definitions.resolve_job_def("deploy")
    assert job.execute_in_process(instance=instance, asset_selection=[keys.PRICES]).success
    quiet = tick()
    assert not quiet.run_requests
    assert quiet.skip_reason is not None
    assert quiet.skip_reason.skip_message == said["tick"] == "Everything is as the catalog says."


def test_a_moving_ref_stays_where_the_version_before_pulled_it(
    instance: dg.DagsterInstance, said: Said
) -> None:
    catalog = check_catalog(CATALOG).catalog
    wanted = (commits.resolved(instance, catalog, each) for each in catalog.deployments)
    assert {each.name: each.spec_digest for each in wanted} == {
        route["deployment"]: route["revision"] for route in said["routes"]
    }


def test_assets_that_the_version_before_materialized_are_those_of_this_one(
    instance: dg.DagsterInstance,
) -> None:
    known = build_definitions(CATALOG).resolve_asset_graph().get_all_asset_keys()
    materialized = set(instance.all_asset_keys())
    assert keys.rollout("chat") in materialized
    assert materialized <= set(known)


@pytest.mark.usefixtures("variables")
def test_routes_that_are_published_again_are_those_of_the_version_before(
    instance: dg.DagsterInstance, old_store: ObjectStore, tmp_path: Path, said: Said
) -> None:
    deploy = build_definitions(CATALOG).resolve_job_def("deploy")
    assert deploy.execute_in_process(instance=instance, asset_selection=[keys.ROUTES]).success
    follower = RouteFollower(old_store, tmp_path / "routes.json")
    follower.poll()
    assert [route.model_dump(mode="json") for route in follower.table.routes] == said["routes"]

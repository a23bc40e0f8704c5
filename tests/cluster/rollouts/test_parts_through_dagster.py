"""Promises of what stands around a deployment: assets, plan and repair, beside a gateway that serves.

Belongs here: Dagster's side of it and `slipway plan`.
Does not: single objects (../dataplane/test_parts_on_a_cluster.py).
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from kubernetes.client import ApiClient, PolicyV1Api

from assets import keys
from pipelines.definitions import build_definitions
from resources.all import resources
from slipway.control.changes import Change
from slipway.control.check import check_catalog
from slipway.control.plans import deployed_changes
from slipway.environment import Environment

from . import deploying
from .world import ENDPOINT, World

GATEWAY = f"gateway-{ENDPOINT}"


@pytest.fixture
def world(bare: World) -> Iterator[World]:
    """The gateway serves; nothing else is deployed. As it was before, afterwards."""
    yield bare
    bare.endpoint.clear()
    bare.write()
    assert deploying.bring_around(bare.catalog, bare.variables).success


def asked_for(world: World) -> tuple[set[str], str]:
    """What of what stands around the drift sensor wants to bring, and why."""
    sensor = build_definitions(world.catalog).resolve_sensor_def("catalog_drift")
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources=resources(world.variables)) as context,
    ):
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    (request,) = result.run_requests or []  # nothing is recorded in this instance, so the rest is asked for
    chosen = {key.to_user_string() for key in request.asset_selection or ()}
    around = {each for each in chosen if each.startswith(("data_plane/", "gateway/"))} - {"gateway/routes"}
    return around, request.tags["slipway/reason"]


def planned(world: World) -> dict[str, Change]:
    """What `slipway plan` says of gateways and data planes."""
    changes = deployed_changes(check_catalog(world.catalog).catalog, Environment.load(world.variables))
    return {each.kind: each for each in changes if each.kind in ("DataPlane", "Gateway")}


def done(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, object]:
    """Metadata of a materialization."""
    (event,) = [each for each in result.get_asset_materialization_events() if each.asset_key == key]
    return {name: entry.value for name, entry in event.materialization.metadata.items()}


def test_what_stands_is_left_alone_and_an_edit_by_hand_is_shown_and_put_right_by_itself(
    world: World, api: ApiClient
) -> None:
    assert asked_for(world)[0] == set()
    assert planned(world) == {}

    PolicyV1Api(api).patch_namespaced_pod_disruption_budget(
        GATEWAY, world.system, {"spec": {"maxUnavailable": 0}}, field_manager="kubectl-edit"
    )
    chosen, reason = asked_for(world)
    assert chosen == {f"gateway/{ENDPOINT}"}
    assert f"gateway/{ENDPOINT} differs: update PodDisruptionBudget {GATEWAY}" in reason
    assert "  spec.maxUnavailable: 0 -> 1 (changed by kubectl-edit)" in planned(world)["Gateway"].detail

    result = deploying.bring_around(world.catalog, world.variables)
    assert result.success, deploying.failures(result)
    told = done(result, keys.gateway(ENDPOINT))
    assert (told["created"], told["changed"], told["pruned"]) == (0, 1, 0)
    assert done(result, keys.data_plane("default"))["changed"] == 0
    assert (asked_for(world)[0], planned(world)) == (set(), {})


def test_another_host_changes_the_public_side_alone_and_tells_what_its_controllers_do(world: World) -> None:
    world.endpoint["host"] = "other.example"
    world.write()
    assert asked_for(world)[0] == {f"gateway/{ENDPOINT}"}
    lines = planned(world)["Gateway"].detail
    assert [line for line in lines if line.startswith("update")] == [
        f"update Gateway {ENDPOINT} in namespace {world.system}",
        f"update HTTPRoute {ENDPOINT} in namespace {world.system}",
    ]
    assert any('"llm.example"' in line and '"other.example"' in line for line in lines)

    result = deploying.bring_around(world.catalog, world.variables)
    assert result.success, deploying.failures(result)
    assert done(result, keys.gateway(ENDPOINT))["changed"] == 2
    checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
    assert checks["store_secret"].passed
    programmed = checks["edge_programmed"]
    assert not programmed.passed
    assert programmed.severity == dg.AssetCheckSeverity.WARN
    assert planned(world) == {}


def test_a_gateway_without_an_image_is_refused_before_anything_changes(world: World) -> None:
    settings = Path(world.variables["SLIPWAY_KUBE_SETTINGS"])
    before = settings.read_text()
    settings.write_text("\n".join(each for each in before.splitlines() if "slipway_image" not in each))
    try:
        refused = planned(world)["Gateway"]
        result = deploying.bring_around(world.catalog, world.variables)
    finally:
        settings.write_text(before)
    assert refused.action == "refused"
    assert not result.success
    for said in (refused.detail[0], deploying.failures(result)):
        assert "Slipway's own image" in said
        assert "slipway_image" in said
    assert planned(world) == {}

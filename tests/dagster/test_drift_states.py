"""Each state of the drift table through Dagster itself: tick, execute what is asked for, tick until quiet."""

import shutil
from pathlib import Path

import pytest

from slipway.control.cluster_parts import Part
from slipway.control.drift import BACKOFF_S
from slipway.dataplane.validation.validation import checks_of

from .ticking import QUIET, RELOAD, World

SECOND = """---
kind: Deployment
name: second
spec: {model: m, runtime: ray, engine: e}
"""
WEIGHTS, ROLLOUT, ENDPOINT, ROUTES = "weights/m", "rollout/chat", "endpoint/chat", "gateway/routes"
ORGANIZATIONS, PRICES = "tenants/organizations", "billing/prices"
SERVE = {ROLLOUT, ENDPOINT, ROUTES}
MOST_ATTEMPTS = 3
LATER_PRICE = '{effective_from: 2099-01-01T00:00:00Z, input: "0.2", cached_input: "0.1", output: "0.5"}'


def test_a_new_deployment_goes_from_weights_to_routes_in_one_run(bare: World) -> None:
    [tick] = bare.until_quiet()
    assert tick.selection == {WEIGHTS, *SERVE, ORGANIZATIONS, PRICES}
    assert tick.checks == {f"{ENDPOINT}:{name}" for name in checks_of("text-generation")}
    assert [live.deployment for live in bare.planes.status()] == ["chat"]


def test_what_is_as_the_catalog_says_stays_quiet(world: World) -> None:
    assert [world.tick().reason for _ in range(3)] == [QUIET] * 3


def test_another_engine_setting_is_rolled_out_validated_and_routed_and_the_old_one_retired(
    world: World,
) -> None:
    [before] = world.planes.status("chat")
    world.edit("--ctx-size=2048", "--ctx-size=4096")
    [tick] = world.until_quiet()
    assert tick.selection == SERVE
    assert "was never validated (attempt 1)" in tick.reason
    [after] = world.planes.status("chat")
    assert after.spec_digest != before.spec_digest


def test_another_policy_changes_routes_alone(world: World) -> None:
    before = world.planes.status("chat")
    world.edit("sharing: [acme]", "sharing: all")
    [tick] = world.until_quiet()
    assert tick.selection == {ROUTES}
    assert world.planes.status("chat") == before


def test_what_only_the_ui_shows_is_loaded_again_without_a_run(world: World) -> None:
    world.edit("name: acme", "name: acme\ndescription: The first of all.")
    assert RELOAD in world.tick().reason
    world.load()
    assert world.tick().reason == QUIET


def test_a_rollout_that_fails_is_tried_with_backoff_then_a_person_is_told(world: World) -> None:
    [before] = world.planes.status("chat")
    world.edit("--ctx-size=2048", "--ctx-size=4096")
    world.planes.refuses_to_serve = True
    asked = world.fail_as_often_as_allowed(MOST_ATTEMPTS)
    assert [tick.selection for tick in asked] == [SERVE] * MOST_ATTEMPTS
    assert [f"attempt {n}" in tick.reason for n, tick in enumerate(asked, 1)] == [True] * MOST_ATTEMPTS
    assert RELOAD in world.tick().reason  # of the edit: nothing else is left to do
    world.load()
    alert = world.tick()
    assert (alert.selection, alert.reason.endswith("Correct the catalog")) == (set(), True)
    assert f"gave up after {MOST_ATTEMPTS} attempts" in alert.reason
    assert world.planes.status("chat") == (before,)  # tenants keep what serves


def test_before_a_backoff_has_passed_nothing_is_asked_for_and_a_corrected_spec_waits_for_none(
    world: World,
) -> None:
    world.edit("--ctx-size=2048", "--ctx-size=4096")
    world.planes.refuses_to_serve = True
    assert not world.execute(world.tick()).success
    world.later(BACKOFF_S - 5)
    waiting = world.tick()
    assert not waiting.selection
    assert "attempt 2 is due at" in waiting.reason
    world.planes.refuses_to_serve = False
    world.edit("--ctx-size=4096", "--ctx-size=1024")
    [tick] = world.until_quiet()
    assert "(attempt 1)" in tick.reason


def test_a_spec_that_answers_wrongly_gets_no_route_and_is_tried_again(world: World) -> None:
    [before] = world.planes.status("chat")
    world.edit("--ctx-size=2048", "--ctx-size=4096")
    world.planes.answers_wrongly = True
    run = world.execute(world.tick())
    assert not run.success
    assert not run.asset_materializations_for_node("gateway__routes")
    assert world.planes.status("chat") == (before,)
    world.planes.answers_wrongly = False
    world.later(BACKOFF_S)
    [tick] = world.until_quiet()
    assert "(attempt 2)" in tick.reason


def test_a_spec_that_was_taken_back_by_hand_is_left_alone_until_what_is_routed_is_lost(world: World) -> None:
    [good] = world.planes.status("chat")
    world.edit("--ctx-size=2048", "--ctx-size=4096")
    world.planes.refuses_to_serve = True
    assert not world.execute(world.tick()).success
    world.planes.refuses_to_serve = False
    world.withdraw("chat", other_than=good.spec_digest)
    assert RELOAD in world.tick().reason  # of the edit, which is quiet now
    world.load()
    assert world.tick().reason == QUIET
    world.planes.lose("chat")
    lost = world.tick()
    assert lost.selection == SERVE
    world.execute(lost)
    assert world.planes.status("chat") == (good,)


def test_what_is_lost_on_the_data_plane_is_brought_back(world: World) -> None:
    before = world.planes.status("chat")
    world.planes.lose("chat")
    [tick] = world.until_quiet()
    assert tick.selection == SERVE
    assert "is not serving" in tick.reason
    assert world.planes.status("chat") == before


def test_weights_that_left_the_store_come_first(world: World) -> None:
    for stored in list(world.store.list("weights/")):
        world.store.delete(stored.key)
    world.planes.lose("chat")
    [tick] = world.until_quiet()
    assert tick.selection == {WEIGHTS, *SERVE}
    assert "weights missing: m" in tick.reason
    assert list(world.store.list("weights/"))


def test_a_deployment_that_leaves_the_catalog_leaves_routes_and_clusters(bare: World) -> None:
    bare.edit("kind: PriceBook", SECOND + "---\nkind: PriceBook")
    bare.load()
    bare.until_quiet()
    assert {live.deployment for live in bare.planes.status()} == {"chat", "second"}
    bare.edit(SECOND, "")
    assert RELOAD in bare.tick().reason
    [tick] = bare.until_quiet()
    assert tick.selection == {ROUTES}
    assert "second: removed from the catalog" in tick.reason
    assert {live.deployment for live in bare.planes.status()} == {"chat"}


def test_a_catalog_of_other_assets_waits_for_its_code_location_and_is_then_deployed(world: World) -> None:
    world.edit("kind: PriceBook", SECOND + "---\nkind: PriceBook")
    assert [RELOAD in world.tick().reason for _ in range(2)] == [True, True]
    world.load()
    tick = world.tick()
    assert tick.selection == {"rollout/second", "endpoint/second", ROUTES}
    assert world.execute(tick).success
    assert world.until_quiet() == []


@pytest.mark.parametrize(
    ("old", "new", "selection"),
    [
        ("name: acme", "name: acme\n---\nkind: Organization\nname: globex", {ORGANIZATIONS}),
        ('output: "0.4"}]', f'output: "0.4"}}, {LATER_PRICE}]', {PRICES}),
    ],
)
def test_organisations_and_prices_are_mirrored_each_alone(
    world: World, old: str, new: str, selection: set[str]
) -> None:
    world.edit(old, new)
    [tick] = world.until_quiet()
    assert tick.selection == selection


def test_prices_that_the_warehouse_lost_are_brought_back_from_those_that_were_taken(world: World) -> None:
    warehouse = Path(world.variables["SLIPWAY_HOME"]) / "warehouse"
    shutil.rmtree(warehouse)
    [tick] = world.until_quiet()
    assert tick.selection == {PRICES}
    assert "billing/prices differs: the warehouse has none" in tick.reason


def test_a_lost_tenants_database_is_told_to_a_person_and_not_made_again(world: World) -> None:
    database = Path(world.variables["SLIPWAY_HOME"]) / "tenants.db"
    database.unlink()
    tick = world.tick()
    assert tick.selection == {ORGANIZATIONS}
    assert not world.execute(tick).success  # once, so that the asset is red
    world.later(BACKOFF_S + 1)
    alert = world.tick()
    assert (alert.selection, database.exists()) == (set(), False)
    assert "tenants/organizations differs: the tenants' database" in alert.reason
    assert "slipway tenants accept" in alert.reason


@pytest.mark.parametrize("part", [Part("data_plane", "default"), Part("gateway", "public")])
def test_what_drifted_around_deployments_is_brought_back_alone_with_its_own_checks(
    on_kubernetes: World, part: Part
) -> None:
    on_kubernetes.parts.lose(part)
    [tick] = on_kubernetes.until_quiet()
    assert tick.selection == {str(part)}
    assert tick.checks
    assert {check.partition(":")[0] for check in tick.checks} == {str(part)}
    assert "it is not there" in tick.reason


def test_what_a_run_is_at_is_waited_for_and_the_rest_goes_on(world: World) -> None:
    world.planes.lose("chat")
    run = world.run_under_way(["chat"])
    assert world.tick().reason == "chat: a run is at it"
    world.edit('output: "0.4"}]', f'output: "0.4"}}, {LATER_PRICE}]')
    assert world.tick().selection == {PRICES}
    world.instance.report_run_canceled(run)
    assert world.tick().selection >= SERVE


def test_a_catalog_with_errors_changes_nothing_until_it_is_corrected(world: World) -> None:
    world.planes.lose("chat")
    world.edit("runtime: ray", "runtime: tram")
    tick = world.tick()
    assert not tick.selection
    assert "catalog.yaml" in tick.reason
    assert "deployments[chat].runtime" in tick.reason
    world.edit("runtime: tram", "runtime: ray")
    assert world.tick().selection == SERVE


def test_a_code_location_that_was_loaded_from_errors_asks_to_be_loaded_again(world: World) -> None:
    world.edit("runtime: ray", "runtime: tram")
    world.load()
    assert "deployments[chat].runtime" in world.tick().reason
    world.edit("runtime: tram", "runtime: ray")
    assert RELOAD in world.tick().reason
    world.load()
    assert world.tick().reason == QUIET

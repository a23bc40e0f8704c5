"""How weights are scheduled, limited and executed, as Dagster itself sees the definitions."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster_k8s import k8s_job_executor

from assets import keys, pools
from assets.structure import check_keys, structure_of
from pipelines.definitions import build_definitions
from sensors import catalog_drift
from slipway.control import drift

REPOSITORY = Path(__file__).parents[2]
WEIGHTS = [keys.weights("smollm2-135m"), keys.weights("smollm2-formal")]
CHECKS = {dg.AssetCheckKey(key, "verified") for key in WEIGHTS}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(REPOSITORY / "catalog")


def checks_of_endpoint(definitions: dg.Definitions) -> list[dg.AssetCheckKey]:
    found = check_keys(structure_of(list(definitions.assets or ())), [keys.endpoint("chat")])
    assert found
    return found


@pytest.fixture(scope="module")
def on_kubernetes(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The demo's catalog with transfers as Kubernetes jobs."""
    catalog = Path(
        shutil.copytree(REPOSITORY / "catalog", tmp_path_factory.mktemp("on-kubernetes") / "catalog")
    )
    (catalog / "settings.yaml").write_text(
        "kind: Settings\nname: default\nspec: {transfer_executor: kubernetes}\n"
    )
    return build_definitions(catalog)


def test_the_nightly_job_collects_garbage_and_verifies_all_weights(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("maintenance")
    assert job.asset_layer.executable_asset_keys == {keys.WEIGHTS_GC, keys.USAGE_COMPACTION}
    assert set(job.asset_layer.asset_graph.asset_check_keys) >= CHECKS
    assert len(list(job.nodes)) == 2 + len(CHECKS)
    schedule = definitions.resolve_schedule_def("daily_maintenance")
    assert (schedule.cron_schedule, schedule.default_status) == (
        "30 3 * * *",
        dg.DefaultScheduleStatus.RUNNING,
    )


def test_no_rollout_waits_until_weights_are_read_back(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("deploy")
    steps = {node.name for node in job.nodes}
    assert {"weights__smollm2_135m", "rollout__chat"} <= steps
    assert not {step for step in steps if "verified" in step or "weights_gc" in step}
    # What the drift sensor asks for is a part of the job, and names the checks that it wants.
    part = job.get_subset(
        asset_selection={WEIGHTS[0], keys.rollout("chat"), keys.endpoint("chat")},
        asset_check_selection=set(checks_of_endpoint(definitions)),
    )
    assert {node.name for node in part.nodes} == {"weights__smollm2_135m", "rollout__chat", "endpoint__chat"}


def test_a_repair_of_the_drift_sensor_names_only_the_checks_of_endpoints(definitions: dg.Definitions) -> None:
    paths = frozenset(
        {("weights", "smollm2-135m"), ("rollout", "chat"), ("endpoint", "chat"), ("gateway", "routes")}
    )
    repair = drift.Repair("chat", "digest", paths, 1, "never validated")
    structure = structure_of(list(definitions.assets or ()))
    [request] = catalog_drift._result({"chat": repair}, {}, structure).run_requests or []
    assert set(request.asset_check_keys or ()) == set(checks_of_endpoint(definitions))
    assert {tuple(key.path) for key in request.asset_selection or ()} == paths


def test_every_transfer_waits_in_the_pool_of_the_hub_whose_limit_is_one(
    definitions: dg.Definitions, tmp_path: Path
) -> None:
    for key in WEIGHTS:
        assert definitions.resolve_asset_graph().get(key).pools == {pools.HUB}
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        slots = instance.event_log_storage
        slots.initialize_concurrency_limit_to_default(pools.HUB)
        assert slots.claim_concurrency_slot(pools.HUB, "run", "weights__one").is_claimed
        assert not slots.claim_concurrency_slot(pools.HUB, "run", "weights__two").is_claimed
        slots.set_concurrency_slots(pools.HUB, 2)  # `dagster instance concurrency set hub 2`
        assert slots.claim_concurrency_slot(pools.HUB, "run", "weights__two").is_claimed


def test_transfers_run_within_the_run_unless_the_settings_say_otherwise(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("deploy")
    assert job.executor_def is dg.in_process_executor
    assert "dagster-k8s/config" not in job.get_node_named("weights__smollm2_135m").definition.tags


def test_as_kubernetes_jobs_transfers_say_what_each_pod_gets(on_kubernetes: dg.Definitions) -> None:
    job = on_kubernetes.resolve_job_def("deploy")
    assert job.executor_def is k8s_job_executor
    tags = job.get_node_named("weights__smollm2_135m").definition.tags
    assert '"memory": "1Gi"' in tags["dagster-k8s/config"]
    for name in ("rollup", "maintenance"):
        assert on_kubernetes.resolve_job_def(name).executor_def is dg.in_process_executor

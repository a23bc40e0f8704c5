import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph

from assets import keys
from pipelines.definitions import build_definitions

REPOSITORY = Path(__file__).parents[2]

# What a process does while it loads the definitions, as CPython's own audit events tell it.
AUDITED_LOAD = """
import json, os, sys
seen = {"connected": [], "wrote": []}
def audit(event, args):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo"):
        seen["connected"].append(f"{event} {args[1:]}")
    elif event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen["wrote"].append(str(args[0]))
    elif event in ("os.mkdir", "os.rename", "os.remove"):
        seen["wrote"].append(f"{event} {args[0]}")
sys.addaudithook(audit)
from pipelines.definitions import defs
seen["assets"] = len(defs.resolve_asset_graph().get_all_asset_keys())
seen["heavy"] = sorted({"ray", "pandas", "duckdb", "boto3", "xllamacpp", "kubernetes"} & sys.modules.keys())
print(json.dumps(seen))
"""


def test_definitions_load_without_network_environment_or_writing_a_file() -> None:
    loaded = subprocess.run(
        [sys.executable, "-B", "-c", AUDITED_LOAD],
        cwd=REPOSITORY,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    seen = json.loads(loaded.stdout.splitlines()[-1])
    assert seen["connected"] == []
    assert [path for path in seen["wrote"] if path != os.devnull] == []
    assert seen["heavy"] == []
    assert seen["assets"] == 22


@pytest.fixture(scope="module")
def graph() -> AssetGraph:
    return build_definitions(REPOSITORY / "catalog").resolve_asset_graph()


def test_a_model_goes_from_weights_to_rollout_to_endpoint_to_routes_and_its_price_is_taken_first(
    graph: AssetGraph,
) -> None:
    assert graph.get(keys.rollout("chat")).parent_keys == {
        keys.weights("smollm2-135m"),
        keys.weights("smollm2-formal"),
    }
    assert graph.get(keys.endpoint("chat")).parent_keys == {keys.rollout("chat")}
    assert graph.get(keys.ROUTES).parent_keys == {
        keys.endpoint("chat"),
        keys.endpoint("assistant"),
        keys.PRICES,
    }


def test_every_promise_to_a_client_is_a_blocking_check(graph: AssetGraph) -> None:
    checks = {key.name: graph.get_check_spec(key) for key in graph.asset_check_keys}
    endpoint = {spec.name for spec in checks.values() if spec.asset_key.path[0] == "endpoint"}
    assert endpoint == {
        "model_listed",
        "completion",
        "stream",
        "usage_reported",
        "adapters_answer",
        "ttft_under_bound",
    }
    assert all(checks[name].blocking for name in endpoint)


def test_assets_of_the_catalog_carry_the_digest_of_the_spec_that_makes_them(graph: AssetGraph) -> None:
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    for node in nodes:
        if node.key.path[0] in {"weights", "rollout", "billing", "tenants"}:
            # Invoices follow from usage and prices; no document makes them.
            assert node.code_version or node.key == keys.INVOICES, node.key
        assert node.group_name != "default", node.key


def test_hourly_metering_backfills_as_one_run(graph: AssetGraph) -> None:
    for key in (keys.REQUESTS, keys.LATENCY, keys.USAGE, keys.COST, keys.REPLICAS):
        assert graph.get(key).backfill_policy == dg.BackfillPolicy.single_run()


def test_a_broken_catalog_leaves_metering_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "broken.yaml").write_text("kind: Deployment\nname: x\n")
    definitions = build_definitions(tmp_path)
    found = definitions.resolve_asset_graph().materializable_asset_keys
    reports = {keys.report(kind) for kind in ("latency", "usage", "economics")}
    hourly = {keys.REQUESTS, keys.LATENCY, keys.USAGE, keys.COST, keys.REPLICAS}
    assert found == {keys.CATALOG, keys.INVOICES, *hourly, *reports}
    sensors = [sensor.name for sensor in definitions.sensors or []]
    assert sensors == ["catalog_drift", "replica_samples", "late_usage", "alerts"]
    assert "broken.yaml:1  deployments[x].model: is missing" in caplog.text

"""Weights as Dagster shows them: progress while a slow pull runs, metadata after it, checks, collection."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import dagster as dg
import pytest

from assets import groups, keys
from assets.weights import weights_checks
from pipelines.definitions import build_definitions
from resources.artifacts import WeightsResource
from resources.cluster_parts import ClusterPartsResource
from resources.dataplane import DataPlaneResource
from resources.environment import EnvironmentResource, StoreResource
from resources.gateway import GatewayResource, TenantsResource
from resources.warehouse import WarehouseResource
from slipway.artifacts.weights import claims
from slipway.artifacts.weights.collection import collect
from slipway.catalog import Catalog, Model, Settings
from slipway.objectstore import ObjectStore
from slipway.stack.standin_hub import Fault, Repository, StandinHub
from testbed import stores

from .conftest import Content
from .keeping import commit, publish

LINE_EVERY_S = 0.75


class FakeDataPlane(DataPlaneResource):
    """A fake cluster on which nothing was ever rolled out."""

    def serving(self) -> dict[str, frozenset[str]]:
        return {}

    def revision(self, deployment: str, spec_digest: str) -> None:
        return None


def assets_of(group: str, catalog: Catalog) -> list[dg.AssetsDefinition]:
    return groups.build([groups.named(group)], catalog)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def catalog(repository: Repository) -> Catalog:
    source = f"hf://{repository.id}@{repository.refs['main']}"
    settings = Settings(name="default", weights_check="full", weights_grace_s=0)
    return Catalog(models=(Model(name="tiny", source=source),), settings=settings)


@pytest.fixture
def given(store: ObjectStore, hub: StandinHub, tmp_path: Any) -> dict[str, Any]:
    """The assets' resource, on this test's servers, with lines more often than usual."""
    at = store.location
    variables = {
        "SLIPWAY_HOME": str(tmp_path),
        "SLIPWAY_HUB_URL": hub.url,
        **stores.variables(at),
    }
    environment = EnvironmentResource(overrides=variables)
    weights_store = WeightsResource(
        environment=environment, store=StoreResource(environment=environment), line_every_s=LINE_EVERY_S
    )
    return {"environment": environment, "weights_store": weights_store}


def lines(instance: dg.DagsterInstance) -> list[dg.EventLogEntry]:
    """Progress lines of the one run, as the UI has them."""
    entries = (entry for run in instance.get_runs() for entry in instance.all_logs(run.run_id))
    return [entry for entry in entries if "MB/s" in entry.user_message]


def test_a_slow_pull_shows_steady_progress_while_it_runs_and_metadata_after_it(
    instance: dg.DagsterInstance, catalog: Catalog, given: dict[str, Any], hub: StandinHub, content: Content
) -> None:
    hub.faults.switch_on(Fault("throttled", bytes_per_s=2.5e6))
    run = threading.Thread(
        target=dg.materialize,
        args=(assets_of("weights", catalog),),
        kwargs={"instance": instance, "resources": given},
    )
    run.start()
    deadline = time.monotonic() + 180
    while len(lines(instance)) < 3:  # what somebody sees who looks at the run now
        assert run.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.join()
    told = lines(instance)
    assert f"of {content.size_bytes / 1e6:.1f} MB" in told[0].user_message
    assert "s to go" in told[0].user_message
    assert "(100%)" in told[-1].user_message
    gaps = [later.timestamp - earlier.timestamp for earlier, later in pairwise(told[:-1])]
    assert all(LINE_EVERY_S * 0.9 <= gap < LINE_EVERY_S + 2 for gap in gaps)

    event = instance.get_latest_materialization_event(keys.weights("tiny"))
    assert event is not None
    assert event.asset_materialization is not None
    shown = {name: entry.value for name, entry in event.asset_materialization.metadata.items()}
    assert shown["bytes"] == shown["bytes_moved"] == content.size_bytes
    assert (shown["bytes_found"], shown["files"], shown["licence"]) == (0, len(content.files), "mit")
    assert shown["source"] == catalog.models[0].source
    assert shown["commit"] == catalog.models[0].source[-40:]
    assert shown["mb_per_s"] == pytest.approx(content.size_bytes / 1e6 / shown["seconds"], abs=0.1)


def test_a_damaged_file_fails_the_check_of_its_asset_by_name(
    instance: dg.DagsterInstance,
    catalog: Catalog,
    given: dict[str, Any],
    store: ObjectStore,
    content: Content,
) -> None:
    assets = [*assets_of("weights", catalog), *weights_checks(catalog)]
    good = dg.materialize(assets, instance=instance, resources=given)
    [check] = good.get_asset_check_evaluations()
    assert check.passed
    assert check.metadata["bytes_read"].value == content.size_bytes
    prefix = f"weights/tiny/{catalog.models[0].source[-40:]}/"
    store.put(prefix + content.text, b"x" * len(content.files[content.text]))
    again = dg.materialize(
        assets,
        instance=instance,
        resources=given,
        selection=dg.AssetSelection.all_asset_checks(),
        raise_on_error=False,
    )
    [check] = again.get_asset_check_evaluations()
    assert not check.passed
    assert str(check.description).startswith(f"{content.text}: sha256")
    assert not check.blocking


def test_a_pull_that_finds_everything_says_that_it_moved_nothing(
    instance: dg.DagsterInstance, catalog: Catalog, given: dict[str, Any], content: Content
) -> None:
    for moved in (content.size_bytes, 0):
        result = dg.materialize(assets_of("weights", catalog), instance=instance, resources=given)
        [shown] = [each.metadata for each in result.asset_materializations_for_node("weights__tiny")]
        assert shown["bytes_moved"].value == moved
        assert shown["bytes_found"].value == content.size_bytes - moved


def test_the_collection_applies_and_says_what_it_removed_and_kept(
    instance: dg.DagsterInstance, catalog: Catalog, given: dict[str, Any], store: ObjectStore
) -> None:
    garbage = publish(store, "old", commit(1))
    needed = publish(store, "tiny", catalog.models[0].source[-40:])
    collection = [each for each in assets_of("maintenance", catalog) if keys.WEIGHTS_GC in each.keys]
    result = dg.materialize(collection, instance=instance, resources=given)
    [shown] = [each.metadata for each in result.asset_materializations_for_node("maintenance__weights_gc")]
    assert (shown["removed"].value, shown["removed_bytes"].value) == (1, garbage.size_bytes)
    assert (shown["kept"].value, shown["kept_bytes"].value) == (1, needed.size_bytes)
    assert not list(store.list(garbage.prefix))


def test_weights_that_were_collected_while_their_model_was_gone_are_pulled_again_when_it_returns(
    instance: dg.DagsterInstance, catalog: Catalog, given: dict[str, Any], store: ObjectStore, tmp_path: Any
) -> None:
    (tmp_path / "catalog.yaml").write_text(
        f"kind: Model\nname: tiny\nspec: {{source: '{catalog.models[0].source}'}}\n"
        "---\nkind: Engine\nname: llama\nspec: {server: llama.cpp}\n"
        "---\nkind: Deployment\nname: chat\nspec: {model: tiny, runtime: ray, engine: llama}\n"
    )
    environment = given["environment"]
    others = {
        "data_plane": FakeDataPlane(environment=environment),
        "gateway": GatewayResource(environment=environment),
        "cluster_parts": ClusterPartsResource(environment=environment),
        "tenants": TenantsResource(environment=environment),
        "warehouse": WarehouseResource(environment=environment),
    }
    sensor = build_definitions(tmp_path).resolve_sensor_def("catalog_drift")

    def asked_for() -> set[tuple[str, ...]]:
        with dg.build_sensor_context(instance=instance, resources={**given, **others}) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        [request] = result.run_requests or []
        return {tuple(key.path) for key in request.asset_selection or ()}

    dg.materialize(assets_of("weights", catalog), instance=instance, resources=given)
    assert ("weights", "tiny") not in asked_for()
    for lease in claims.leases(store):  # as if its hour had passed
        store.delete(lease.key)
    collect(store, Catalog(settings=catalog.settings), apply=True, log=print)
    assert ("weights", "tiny") in asked_for()

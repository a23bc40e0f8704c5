"""Groups are registered once; jobs are made of groups, and what a group shares is put over all of it."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets import groups, keys, pools, retries
from assets.declared import DATA_PLANE_TAG, Declared, declared
from assets.groups import DEPLOY, GROUPS, MAINTENANCE, ROLLUP, Group
from pipelines.definitions import build_definitions
from pipelines.jobs import DESCRIPTIONS
from slipway.catalog import Catalog, Deployment

REPOSITORY = Path(__file__).parents[2]
INVOICES = dg.AssetKey(["invoices", "monthly"])


def invoices(catalog: Catalog, **attributes: object) -> list[Declared]:
    """A toy group of one asset, below what a rollout makes."""

    @declared(
        dg.AssetSpec(INVOICES, deps=[keys.PRICES, keys.ROUTES], **attributes),  # type: ignore[arg-type]
        about=catalog.deployments,
        checks=[dg.AssetCheckSpec("adds_up", asset=INVOICES)],
    )
    def monthly() -> Iterator[dg.MaterializeResult[None]]:
        yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])

    return [monthly]


def toy(assets: Callable[[Catalog], list[Declared]] = invoices, job: str | None = None) -> Group:
    return Group("invoices", job, assets, pool="invoices")


def assets_of(job: str, registered: tuple[Group, ...]) -> set[dg.AssetKey]:
    definitions = build_definitions(REPOSITORY / "catalog", groups=registered)
    return set(definitions.resolve_job_def(job).asset_layer.executable_asset_keys)


@pytest.mark.parametrize("job", [None, "invoicing"])
def test_an_asset_of_a_new_group_falls_into_no_job_but_its_own(job: str | None) -> None:
    registered = (*GROUPS, toy(job=job))
    for known in (DEPLOY, MAINTENANCE, ROLLUP):
        assert assets_of(known, registered) == assets_of(known, GROUPS)
        assert INVOICES not in assets_of(known, registered)
    definitions = build_definitions(REPOSITORY / "catalog", groups=registered)
    assert INVOICES in definitions.resolve_asset_graph().get_all_asset_keys()
    if job is not None:
        assert assets_of(job, registered) == {INVOICES}


def test_every_asset_is_in_the_job_that_its_group_names_and_no_other() -> None:
    definitions = build_definitions(REPOSITORY / "catalog")
    graph = definitions.resolve_asset_graph()
    by_group = {group.name: group.job for group in GROUPS}
    for job in (DEPLOY, MAINTENANCE, ROLLUP):
        expected = {
            key for key in graph.get_all_asset_keys() if by_group[graph.get(key).group_name or ""] == job
        }
        assert definitions.resolve_job_def(job).asset_layer.executable_asset_keys == expected
        assert expected


def test_no_two_groups_have_one_name_and_every_job_of_one_is_described() -> None:
    names = [group.name for group in GROUPS]
    assert len(set(names)) == len(names)
    assert {group.job for group in GROUPS if group.job is not None} == DESCRIPTIONS.keys()


def test_what_a_group_shares_is_put_over_its_assets() -> None:
    chat = Deployment(name="chat", model="m", engine="e", runtime="ray", owner="team:chat")
    owned_by = [chat.model_copy(update={"owner": owner}) for owner in ("team:other", "team:chat", None)]
    catalog = Catalog(deployments=(chat, *owned_by))
    fresh = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=40))
    [built] = groups.build([replace(toy(), freshness=fresh)], catalog)
    [spec] = built.specs
    assert (spec.group_name, spec.freshness_policy) == ("invoices", fresh)
    assert spec.owners == ["team:chat", "team:other"]
    assert built.op.name == "invoices__monthly"
    assert (built.op.pool, built.op.retry_policy) == ("invoices", retries.NETWORK)
    assert built.backfill_policy is None


def test_what_is_on_a_data_plane_waits_in_its_pool_instead() -> None:
    [built] = groups.build(
        [toy(lambda catalog: invoices(catalog, tags={DATA_PLANE_TAG: "gpu-a"}))], Catalog()
    )
    assert built.op.pool == pools.data_plane("gpu-a")


def test_what_is_partitioned_is_backfilled_in_one_run() -> None:
    daily = dg.DailyPartitionsDefinition("2026-01-01")
    [built] = groups.build([toy(lambda catalog: invoices(catalog, partitions_def=daily))], Catalog())
    assert built.backfill_policy == dg.BackfillPolicy.single_run()


def test_only_hourly_metering_is_expected_to_be_fresh_and_only_endpoints_are_not_retried() -> None:
    definitions = build_definitions(REPOSITORY / "catalog")
    assets = [each for each in definitions.assets or () if isinstance(each, dg.AssetsDefinition)]
    fresh = {spec.key for each in assets for spec in each.specs if spec.freshness_policy is not None}
    assert fresh == {keys.REQUESTS, keys.LATENCY, keys.USAGE, keys.COST, keys.REPLICAS, keys.ECONOMICS}
    unretried = {key.path[0] for each in assets if each.op.retry_policy is None for key in each.keys}
    assert unretried == {"endpoint"}


def test_definitions_are_made_of_nothing_that_dagster_warns_of() -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=ImportWarning)
        build_definitions(REPOSITORY / "catalog").resolve_asset_graph()
    assert [str(each.message) for each in warned] == []

"""The groups of assets: each registered here once, with the job that launches it and what its assets share.

Belongs here: the registry, and mapping what a group shares over its assets (pool, retries, owners, freshness,
backfills), once for all of them.
Does not: what one asset does or depends on (the module of its stage), jobs themselves (pipelines.jobs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

from assets import (
    billing,
    catalog_documents,
    data_planes,
    economics,
    endpoint_gateways,
    endpoints,
    garbage,
    images,
    metering,
    pools,
    replicas,
    reports,
    retries,
    rollouts,
    routes,
    usage_compaction,
    warehouse_shards,
    weights,
)
from assets.declared import DATA_PLANE_TAG, Declared
from slipway.catalog import Catalog
from slipway.catalog.documents import Document
from slipway.environment import Environment

CLOSE_MONTH = "close_month"
DEPLOY = "deploy"
MAINTENANCE = "maintenance"
ROLLUP = "rollup"
REPORTS = "reports"

# The schedule rolls up at five past each hour: one missed hour warns, two are a failure.
HOURLY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=2), fail_window=timedelta(hours=3))


@dataclass(frozen=True)
class Group:
    """Assets that are shown together, launched by one job, and treated alike.

    A group of no job is launched by people alone. `needs_catalog` is False for what goes on while the catalog
    has errors. `pool` is the pool of its steps; one on a data plane waits in that data plane's instead.
    """

    name: str
    job: str | None
    assets: Callable[[Catalog], Sequence[Declared]]
    pool: str | None
    retry: dg.RetryPolicy | None = retries.NETWORK
    freshness: dg.FreshnessPolicy | None = None
    needs_catalog: bool = True


@dataclass(frozen=True)
class Checks:
    """Checks that run on their own, in the job that names them, and never because their asset is launched."""

    job: str
    checks: Callable[[Catalog], Sequence[dg.AssetChecksDefinition]]


GROUPS = (
    # Of no job: nothing waits for it, and it is there while the catalog has errors.
    Group("catalog", None, catalog_documents.catalog_assets, pool=None, needs_catalog=False),
    Group("weights", DEPLOY, weights.weights_assets, pools.HUB),
    Group("images", DEPLOY, images.image_assets, pools.REGISTRY),
    Group("data_planes", DEPLOY, data_planes.data_plane_assets, pool=None),
    Group("rollouts", DEPLOY, rollouts.rollout_assets, pool=None),
    # What a probe refused is refused again: the drift sensor tries the whole deployment instead.
    Group("endpoints", DEPLOY, endpoints.endpoint_assets, pool=None, retry=None),
    Group("tenants", DEPLOY, routes.tenant_assets, pool=None),
    Group("gateway", DEPLOY, lambda catalog: _gateway(catalog), pools.ROUTES),
    Group("billing", DEPLOY, metering.price_assets, pools.WAREHOUSE),
    Group(
        "month_close",
        CLOSE_MONTH,
        lambda catalog: billing.invoice_assets(),
        pools.WAREHOUSE,
        needs_catalog=False,
    ),
    Group(
        "maintenance",
        MAINTENANCE,
        lambda catalog: [*garbage.garbage_assets(catalog), *usage_compaction.compaction_assets()],
        pools.GARBAGE,
    ),
    Group(
        "metering",
        ROLLUP,
        lambda catalog: _metering(),
        # Of no pool: a backfill is one run, and lets other writers have their turn after each day of it. Who
        # writes is decided by the lock of the file.
        pool=None,
        freshness=HOURLY,
        needs_catalog=False,
    ),
    Group("economics", ROLLUP, economics.economics_assets, pools.WAREHOUSE, freshness=HOURLY),
    # Of no pool: they read the published copy, which no writer is in the way of.
    Group("reports", REPORTS, lambda catalog: reports.report_assets(), pool=None, needs_catalog=False),
)
CHECKS = (Checks(MAINTENANCE, weights.weights_checks),)


def build(groups: Iterable[Group], catalog: Catalog) -> list[dg.AssetsDefinition]:
    """The assets of these groups, as Dagster takes them."""
    return [_built(group, declared) for group in groups for declared in group.assets(catalog)]


def named(name: str) -> Group:
    """A registered group by its name."""
    return next(group for group in GROUPS if group.name == name)


def _gateway(catalog: Catalog) -> list[Declared]:
    return [*endpoint_gateways.endpoint_gateway_assets(catalog), *routes.route_assets(catalog)]


def _metering() -> list[Declared]:
    shards = Environment.load().warehouse_shards
    return [
        *(warehouse_shards.shard_assets(shards) if shards > 1 else []),
        *metering.metering_assets(shards),
        *replicas.replica_assets(),
    ]


def _built(group: Group, declared: Declared) -> dg.AssetsDefinition:
    """The one place where what a group shares is put over what a module declares."""
    owners = _owners(declared.about)
    is_partitioned = any(spec.partitions_def is not None for spec in declared.specs)
    step = dg.multi_asset(
        name=declared.name,
        specs=[
            spec.replace_attributes(group_name=group.name, owners=owners, freshness_policy=group.freshness)
            for spec in declared.specs
        ],
        check_specs=declared.checks,
        op_tags=declared.op_tags,
        pool=_pool(group, declared.specs),
        retry_policy=group.retry,
        backfill_policy=dg.BackfillPolicy.single_run() if is_partitioned else None,
    )
    return step(declared.compute)


def _pool(group: Group, specs: Sequence[dg.AssetSpec]) -> str | None:
    data_plane = next((spec.tags[DATA_PLANE_TAG] for spec in specs if DATA_PLANE_TAG in spec.tags), None)
    return group.pool if data_plane is None else pools.data_plane(data_plane)


def _owners(documents: Iterable[Document]) -> list[str] | None:
    """Everybody who answers for one of these, each once."""
    return list(dict.fromkeys(each.owner for each in documents if each.owner)) or None

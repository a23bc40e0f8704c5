"""Metering assets: hourly partitions of requests, latency, usage and cost, rolled up together.

Belongs here: partitions, per-hour metadata, asset checks, and the prices that rating joins.
Does not: the tables and their SQL (slipway.metering).
"""

from collections.abc import Iterator

import dagster as dg

from assets import failures, keys, metadata
from assets.declared import Declared, declared
from assets.partitions import HOURLY, hour_of, key_of
from assets.retries import done_by
from resources.warehouse import CHECKS, WarehouseResource
from slipway.catalog import Catalog, digests

_DESCRIPTIONS = {
    keys.REQUESTS: "Usage events of the hour, each request once.",
    keys.LATENCY: "Time to first token and between tokens, and whole duration, per deployment.",
    keys.USAGE: "Billed tokens per org, user, key, deployment and price version.",
    keys.COST: "What they cost; exact.",
}


def metering_assets(shards: int) -> list[Declared]:
    """The hourly rollup: four assets of one transaction, so none can be ahead of another.

    Where the warehouse has shards, theirs go before (warehouse_shards.py), and these are all of them as one.
    """
    return [_rollup([keys.shard(number) for number in range(shards)] if shards > 1 else [])]


def price_assets(catalog: Catalog) -> list[Declared]:
    """The catalog's prices as the table that rating joins."""
    return [_prices(catalog)]


def _rollup(before: list[dg.AssetKey]) -> Declared:
    chain = [keys.REQUESTS, keys.LATENCY, keys.USAGE, keys.COST]
    deps = {
        keys.REQUESTS: before,
        keys.LATENCY: [keys.REQUESTS],
        keys.USAGE: [keys.REQUESTS],
        keys.COST: [keys.USAGE, keys.PRICES],
    }

    @declared(
        *(
            dg.AssetSpec(
                key,
                deps=deps.get(key, []),
                description=_DESCRIPTIONS[key],
                kinds={"duckdb"},
                partitions_def=HOURLY,
            )
            for key in chain
        ),
        name="hourly_rollup",
        checks=[dg.AssetCheckSpec(name, asset=key) for name, key in _check_keys().items()],
    )
    def hourly_rollup(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        hours = [hour_of(key) for key in context.partition_keys]
        with failures.explained():
            report = warehouse.roll_up(
                hours, run_id=context.run_id, progress=context.log.info, done_by=done_by(context.run)
            )
        results = {result.name: result for result in report.checks}
        for key in chain:
            for summary in report.hours:
                context.add_asset_metadata(
                    metadata.of_hour(key, summary), asset_key=key, partition_key=key_of(summary.hour)
                )
            checks = [
                metadata.check(results[name], key) for name, owner in _check_keys().items() if owner == key
            ]
            yield dg.MaterializeResult(asset_key=key, check_results=checks)

    return hourly_rollup


def _check_keys() -> dict[str, dg.AssetKey]:
    """The asset that each check is shown at."""
    return {name: dg.AssetKey(path.split("/")) for name, path in CHECKS.items()}


def _prices(catalog: Catalog) -> Declared:
    @declared(
        dg.AssetSpec(
            keys.PRICES,
            description="Price versions in force, append-only.",
            code_version=digests.of_prices(catalog),
            kinds={"duckdb"},
        )
    )
    def prices(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        with failures.explained():
            synced = warehouse.sync_prices(catalog)
        return dg.MaterializeResult(metadata=metadata.of_mirror(digests.of_prices(catalog), synced))

    return prices

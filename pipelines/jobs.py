"""Jobs: the selections that people and sensors launch.

Belongs here: which assets run together, under which name, and where their steps run.
Does not: when (schedules.py, sensors).
"""

from __future__ import annotations

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets import keys
from assets.partitions import HOURLY
from assets.weights import check_keys
from slipway.catalog import Catalog, Settings

METERING = dg.AssetSelection.assets(keys.REQUESTS, keys.LATENCY, keys.USAGE, keys.COST, keys.REPLICAS)
GARBAGE = dg.AssetSelection.assets(keys.WEIGHTS_GC)

rollup = dg.define_asset_job(
    "rollup",
    selection=METERING,
    partitions_def=HOURLY,
    description="Roll up hours of usage into latency, usage and cost, and of samples into what ran.",
    executor_def=dg.in_process_executor,
)


def deploy(catalog: Catalog) -> UnresolvedAssetJobDefinition:
    """Everything of the catalog; reading stored weights back is not a thing that rollouts wait for."""
    return dg.define_asset_job(
        "deploy",
        selection=dg.AssetSelection.all() - METERING - GARBAGE - _verifications(catalog),
        description="Bring deployments to the catalog's spec: weights and images, rollouts, routes, prices.",
        executor_def=_executor(catalog.settings),
    )


def maintenance(catalog: Catalog) -> UnresolvedAssetJobDefinition:
    """What is done once a day to keep the store in order."""
    return dg.define_asset_job(
        "maintenance",
        selection=GARBAGE | _verifications(catalog),
        description="Remove weights that nobody names any more, and verify those that are stored.",
        executor_def=dg.in_process_executor,
    )


def _verifications(catalog: Catalog) -> dg.AssetSelection:
    return dg.AssetSelection.checks(*check_keys(catalog))


def _executor(settings: Settings) -> dg.ExecutorDefinition:
    """One process per run: a rollout's steps follow each other, and a process per step costs an import each.

    Where transfers should be Kubernetes jobs, every step of the run is one: dagster-k8s chooses by run.
    """
    if settings.transfer_executor == "in-process":
        return dg.in_process_executor
    from dagster_k8s import k8s_job_executor

    return k8s_job_executor

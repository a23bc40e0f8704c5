"""Jobs: the selections that people and sensors launch.

Belongs here: which assets run together and under which name. Does not: when (schedules.py, sensors).
"""

from __future__ import annotations

import dagster as dg

from assets import keys
from assets.partitions import HOURLY

METERING = dg.AssetSelection.assets(keys.REQUESTS, keys.LATENCY, keys.USAGE, keys.COST)

# One process per run: a rollout's steps follow each other, and a process per step costs an import each.
# On Kubernetes, k8s_job_executor takes its place (dagster-k8s).
deploy = dg.define_asset_job(
    "deploy",
    selection=dg.AssetSelection.all() - METERING,
    description="Bring deployments to the catalog's spec: weights, rollouts, endpoints, routes, prices.",
    executor_def=dg.in_process_executor,
)

rollup = dg.define_asset_job(
    "rollup",
    selection=METERING,
    partitions_def=HOURLY,
    description="Roll up hours of usage into latency, usage and cost.",
    executor_def=dg.in_process_executor,
)

"""The rollup of one hour, once: `python -m bench.rollup_once JOB`; or a step of it, where there are shards.

Belongs here: a call of `roll_up`, as the asset makes it, of `take_in` or of `roll_up_shard`.
Does not: what the benchmark itself needs, whose imports would count as ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from slipway.environment import S3Location
from slipway.metering.price_table import sync_prices
from slipway.metering.rollup import roll_up
from slipway.metering.shards.intake import take_in
from slipway.metering.shards.rolling import roll_up_shard
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore


def rollup_once(job: Mapping[str, Any]) -> int:
    """Roll up `hour` of `store` into a warehouse in `directory`; returns the requests it found."""
    hour = datetime.fromisoformat(job["hour"])
    store, warehouse = ObjectStore(S3Location(**job["store"])), Warehouse(Path(job["directory"]))
    sync_prices(store, warehouse, (), now=hour)  # a rollup needs a price history, if only an empty one
    (summary,) = roll_up(store, warehouse, [hour], run_id="bench", now=hour + timedelta(days=1))
    return summary.requests


def intake_once(job: Mapping[str, Any]) -> int:
    """Take `hour` of `store` in for so many `shards`."""
    hour = datetime.fromisoformat(job["hour"])
    take_in(ObjectStore(S3Location(**job["store"])), [hour], job["shards"], now=hour + timedelta(days=1))
    return int(job["requests"])


def shard_once(job: Mapping[str, Any]) -> int:
    """Roll the first of the `shards` up, of what was taken in."""
    hour = datetime.fromisoformat(job["hour"])
    store, warehouse = (
        ObjectStore(S3Location(**job["store"])),
        Warehouse(Path(job["directory"]), job["shards"]),
    )
    found = roll_up_shard(store, warehouse, 0, [hour], run_id="bench", now=hour + timedelta(days=1))
    return int(job["requests"]) if found else 0


STEPS = {"rollup": rollup_once, "intake": intake_once, "shard": shard_once}

if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    requests = STEPS[job.get("step", "rollup")](job)
    if requests != job["requests"]:
        sys.exit(f"{requests} requests were rolled up, and {job['requests']} were made")

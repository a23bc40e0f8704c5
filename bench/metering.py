"""`make bench-metering`: a rollup of five million events in 20,200 small objects, from SeaweedFS.

Belongs here: the figures, their targets, and the scale. Does not: the events (usage_objects.py), the work
(rollup_once.py).
SLIPWAY_BENCH_SCALE=0.1 takes a tenth of the objects; CPU's target goes with it, memory's does not.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from bench import servers, usage_objects
from bench.figures import Figure, report
from bench.sides import run
from slipway.metering.price_table import sync_prices
from slipway.metering.prices import PriceSchedule
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.price_history import PriceRow

OBJECTS, EVENTS_EACH = 20_200, 248
CPU_S, RESIDENT_MIB = 25.0, 1536.0

_MIB = 2**20


def main() -> int:
    """Measure everything, print it, return the exit status."""
    scale = float(os.environ.get("SLIPWAY_BENCH_SCALE") or 1)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as directory:
        return report(figures(Path(directory), scale))


def figures(root: Path, scale: float) -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    volume = usage_objects.Volume(max(1, round(OBJECTS * scale)), EVENTS_EACH)
    with servers.seaweed(root / "store") as store:
        usage_objects.write(store, volume)
        bring_prices(store, Warehouse(root / "warehouse"))
        job = {
            "store": asdict(store.location), "directory": str(root / "warehouse"),
            "hour": usage_objects.HOUR.isoformat(), "requests": volume.events,
        }  # fmt: skip
        cost = run([sys.executable, "-m", "bench.rollup_once", json.dumps(job)])
    yield Figure("rollup_cpu", cost.cpu_s, CPU_S * scale, "s")
    yield Figure("rollup_resident", cost.resident_bytes / _MIB, RESIDENT_MIB, "MiB")


def bring_prices(store: ObjectStore, warehouse: Warehouse) -> None:
    """A price for each deployment that changes within the hour, and one of an org's own for each tenth."""
    hour = usage_objects.HOUR
    begun, change = hour - timedelta(days=30), hour + timedelta(minutes=20)

    def schedule(number: int) -> PriceSchedule:
        name = usage_objects.deployment(number)
        terms = ("standard", 150_000 + number, 15_000, 600_000, "USD", "engine-output")
        rows = [PriceRow(name, None, begun, change, *terms), PriceRow(name, None, change, None, *terms)]
        if number % 10 == 0:
            rows.append(PriceRow(name, usage_objects.org(number), begun, None, *terms))
        return PriceSchedule(name, "standard", tuple(rows))

    schedules = [schedule(number) for number in range(usage_objects.DEPLOYMENTS)]
    sync_prices(store, warehouse, schedules, now=begun)


if __name__ == "__main__":
    sys.exit(main())

"""`make bench-metering`: a rollup of five million events, beside what other means take for the same.

Belongs here: the figures, their targets, and the scale. Does not: the events (usage_objects.py), the work
(rollup_once.py), what it is compared with (metering_peers.py), hours of a month (metering_months.py).
SLIPWAY_BENCH_SCALE=0.1 takes a tenth of the objects; CPU's target goes with it, memory's does not.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench import metering_months, servers, usage_objects
from bench.figures import Figure, report
from bench.sides import Cost, in_turns, run
from bench.usage_objects import Volume
from slipway.metering.compaction import compact
from slipway.metering.price_table import sync_prices
from slipway.metering.prices import PriceSchedule
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.price_history import PriceRow

OBJECTS, EVENTS_EACH = 20_880, 240
# The goal of a rollup by itself, which is stricter than that of memory below.
CPU_S, RESIDENT_MIB = 25.0, 1536.0
GIBIBYTES_2 = 2048.0

_MIB = 2**20


def main() -> int:
    """Measure everything, print it, return the exit status."""
    scale = float(os.environ.get("SLIPWAY_BENCH_SCALE") or 1)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as directory:
        return report(figures(Path(directory), scale))


def figures(root: Path, scale: float) -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    with servers.seaweed(root / "store") as store:
        usage = Hour(root, store, Volume(max(1, round(OBJECTS * scale)), EVENTS_EACH))
        usage_objects.write(store, usage.volume)
        yield from _small_objects(usage, scale)
        yield from _one_object(usage)
        yield from _four_times_as_many(usage)
        yield from _shards(usage)
        yield from metering_months.figures(root / "months", store)


@dataclass(frozen=True)
class Hour:
    """One hour of usage in a store."""

    root: Path
    store: ObjectStore
    volume: Volume

    def rollup(self, volume: Volume | None = None) -> Cost:
        """Roll the hour up into a new warehouse, in a process of its own."""
        asked = volume or self.volume
        directory = self.root / "warehouse"
        shutil.rmtree(directory, ignore_errors=True)
        bring_prices(self.store, Warehouse(directory))
        return self._run("bench.rollup_once", asked, {"directory": str(directory), "requests": asked.events})

    def step(self, step: str, volume: Volume) -> Cost:
        """One step of the same with four shards."""
        directory = str(self.root / "shards")
        told = {"directory": directory, "requests": volume.events, "step": step, "shards": 4}
        return self._run("bench.rollup_once", volume, told)

    def peer(self, side: str, expected: int, **more: str) -> Cost:
        """Let another means do the same, in a process of its own."""
        return self._run("bench.metering_peers", self.volume, {"side": side, "expected": expected, **more})

    def _run(self, module: str, volume: Volume, job: Mapping[str, Any]) -> Cost:
        told = {"store": asdict(self.store.location), "hour": volume.hour.isoformat(), **job}
        return run([sys.executable, "-m", module, json.dumps(told)])


def _small_objects(usage: Hour, scale: float) -> Iterator[Figure]:
    """From objects as gateways ship them: beside libraries that read and aggregate the same objects."""
    events = usage.volume.events
    costs = in_turns(
        {
            "ours": usage.rollup,
            "polars": lambda: usage.peer("polars", events),
            "pandas": lambda: usage.peer("pandas", events),
        },
        rounds=2 if scale < 1 else 1,
    )
    ours = costs["ours"]
    yield Figure("rollup_cpu", ours.cpu_s, CPU_S * scale, "s")
    yield Figure("rollup_resident", ours.resident_bytes / _MIB, RESIDENT_MIB, "MiB")
    yield Figure("rollup_resident_of_two_gib", ours.resident_bytes / _MIB, GIBIBYTES_2, "MiB")
    for name, cpu in (("pandas", 8.0), ("polars", 2.0)):
        yield Figure(f"{name}_cpu_of_rollup", costs[name].cpu_s / ours.cpu_s, cpu, "x", "least")
        yield Figure(f"{name}_time_of_rollup", costs[name].wall_s / ours.wall_s, 1.0, "x", "least")


def _one_object(usage: Hour) -> Iterator[Figure]:
    """From the one Parquet object that they become: beside DuckDB reading its columns and no more."""
    hour = usage.volume.hour
    late = hour + timedelta(days=9)
    (done,) = compact(usage.store, Warehouse(usage.root / "compaction"), [hour], now=late, grace=timedelta(0))
    assert done.made is not None  # nobody compacted it before
    path = usage.root / "hour.parquet"
    usage.store.download(done.made.stored.key, path)
    costs = in_turns(
        {"ours": usage.rollup, "scan": lambda: usage.peer("scan", usage.volume.lines, path=str(path))},
        rounds=3,
    )
    path.unlink()
    yield Figure("rollup_of_parquet_scan", costs["ours"].wall_s / costs["scan"].wall_s, 2.2, "x")
    yield Figure("rollup_of_parquet_resident", costs["ours"].resident_bytes / _MIB, GIBIBYTES_2, "MiB")


def _four_times_as_many(usage: Hour) -> Iterator[Figure]:
    """Twenty million events of another hour, beside five of one more, from small objects."""
    hour = usage.volume.hour
    five = Volume(usage.volume.objects, EVENTS_EACH, hour + timedelta(hours=1))
    twenty = Volume(4 * usage.volume.objects, EVENTS_EACH, hour + timedelta(hours=2))
    for volume in (five, twenty):
        usage_objects.write(usage.store, volume)
    small, large = usage.rollup(five), usage.rollup(twenty)
    yield Figure("rollup_of_four_times_as_many", large.wall_s / small.wall_s, 4.4, "x")
    yield Figure("rollup_of_four_times_as_many_resident", large.resident_bytes / _MIB, GIBIBYTES_2, "MiB")


def _shards(usage: Hour) -> Iterator[Figure]:
    """The steps of a warehouse of four shards: of these the intake and one shard follow each other."""
    hour = Volume(usage.volume.objects, EVENTS_EACH, usage.volume.hour + timedelta(hours=1))
    one = usage.rollup(hour)
    intake, shard = usage.step("intake", hour), usage.step("shard", hour)
    yield Figure("intake_of_rollup", intake.wall_s / one.wall_s, 2.0, "x")
    yield Figure("one_of_four_shards_of_rollup", shard.wall_s / one.wall_s, 0.25, "x")


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

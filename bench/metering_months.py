"""A month of hours: a backfill in one run beside one by one, and how long an answer takes.

Belongs here: both, with their targets. Does not: one large hour (metering.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import usage_objects
from bench.figures import Figure
from bench.sides import REPOSITORY
from bench.usage_objects import Volume
from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish_copy
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore

HOURS = 720
DEPLOYMENTS = 1000
_FIRST = datetime(2026, 4, 1, tzinfo=UTC)
_ROUNDS = 5


def figures(root: Path, store: ObjectStore) -> Iterator[Figure]:
    """Each figure as soon as it is measured."""
    hours = [_FIRST + timedelta(hours=n) for n in range(HOURS)]
    for hour in hours:
        key, body = usage_objects.one(Volume(1, 100, hour))
        store.put(key, body)
    one_run = _timed(lambda: _roll_up(store, root / "run", [hours]))
    one_by_one = _timed(lambda: _roll_up(store, root / "hours", [[hour] for hour in hours]))
    yield Figure("backfill_of_720_hours", one_by_one / one_run, 3.0, "x", "least")
    _month(Warehouse(root / "month"))
    for question in ("usage", "cost", "latency"):
        yield Figure(f"slipway_{question}", _asked(root / "month", question), 0.5, "s")


def _roll_up(store: ObjectStore, directory: Path, runs: list[list[datetime]]) -> None:
    warehouse = Warehouse(directory)
    sync_prices(store, warehouse, (), now=_FIRST)
    for hours in runs:
        roll_up(store, warehouse, hours, run_id="bench", now=_FIRST + timedelta(days=60))


def _month(warehouse: Warehouse) -> None:
    given = {"first": _FIRST, "deployments": DEPLOYMENTS, "hours": HOURS}
    with warehouse.writing() as connection:
        for statement in (REPOSITORY / "bench/metering_month.sql").read_text().split(";\n\n"):
            used = {name: value for name, value in given.items() if f"${name}" in statement}
            connection.execute(statement, used)
    publish_copy(warehouse)


def _asked(directory: Path, question: str) -> float:
    """Seconds until the command line has answered, its start included; the least of some tries."""
    command = [str(Path(sys.executable).with_name("slipway")), question, "--period", f"{_FIRST:%Y-%m}"]
    environment = {**os.environ, "SLIPWAY_WAREHOUSE": str(directory), "PYTHONPATH": str(REPOSITORY)}

    def ask() -> None:
        told = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
        if told.count(b"\n") < DEPLOYMENTS:
            raise RuntimeError(f"slipway {question}: has {told[:200]!r}")

    return min(_timed(ask) for _ in range(_ROUNDS))


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

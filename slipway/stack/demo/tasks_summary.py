"""`make demo-tasks` in numbers: its `summary.json`, and the table of the terminal.

Belongs here: putting facts into their published shape. Does not: judging them (tasks_claims.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from slipway.catalog import Catalog
from slipway.metering.queries import BillLine
from slipway.stack.demo.claims import Claim
from slipway.stack.demo.tasks import PATHS, TasksRecord, total
from slipway.stack.demo.tasks_claims import billed

_WORDS = {
    "input_uncached": "input tokens",
    "input_cached": "cached input tokens",
    "output": "output tokens",
    "input_audio_ms": "ms of audio",
}


def summary(catalog: Catalog, record: TasksRecord, lines: Sequence[BillLine]) -> dict[str, Any]:
    """The document of `summary.json`: plain JSON values, money as decimal strings."""
    by_deployment = {line.deployment: line for line in lines}
    return {
        "tasks": [_task(catalog, record, name, by_deployment.get(name)) for name in PATHS],
        "transcript": record.transcript,
        "seconds": record.seconds,
    }


def _task(catalog: Catalog, record: TasksRecord, name: str, line: BillLine | None) -> dict[str, Any]:
    deployment, counted = catalog.deployment(name), total(record.used, name)
    return {
        "deployment": name,
        "task": catalog.model(deployment.model).task,
        "engine": deployment.engine,
        "upstream": record.upstreams.get(name),
        "requests": line.requests if line else 0,
        "billed": billed(line, counted),
        "seen_by_client": counted,
        "cost": (line.cost if line else None) or "0",
        "currency": line.currency if line else None,
    }


def show(document: Mapping[str, Any], claims: Sequence[Claim]) -> None:
    """Print the table of tasks, and the claims."""
    console = Console(highlight=False)
    table = Table("", "billed", "counted by its client", "cost")
    for task in document["tasks"]:
        cost = f"{Decimal(task['cost']).normalize():f} {task['currency'] or ''}"
        table.add_row(task["deployment"], _counts(task["billed"]), _counts(task["seen_by_client"]), cost)
    console.print(table)
    for claim in claims:
        mark = "[green]ok[/]" if claim.held else "[bold red]NO[/]"
        console.print(mark, f"{claim.text}: ", end="")
        console.print(claim.evidence[:140], markup=False)


def _counts(counted: Mapping[str, int]) -> str:
    return "\n".join(f"{count} {_WORDS.get(name, name)}" for name, count in counted.items() if count)

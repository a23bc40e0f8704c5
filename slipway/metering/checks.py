"""Checks of what was rolled up: judgements over a few counts, each with its evidence.

Belongs here: what must hold of the published rows of some hours, and how bad it is when it does not.
Does not: Dagster's asset checks that carry these (assets), repairing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, Literal

from slipway.metering.published import PublishedCopy
from slipway.records.usage import Units

Rows = Sequence[Mapping[str, Any]]

UNITS = tuple(unit.name for unit in fields(Units))
_SHOWN = 20  # rows of evidence


@dataclass(frozen=True)
class CheckResult:
    """One check: whether it passed, what it saw, and whether a failure must stop a bill."""

    name: str
    passed: bool
    evidence: Mapping[str, Any]
    severity: Literal["error", "warn"]


def evaluate(copy: PublishedCopy, hours: Sequence[datetime]) -> tuple[CheckResult, ...]:
    """All checks over the published rows of these hours. Raises WarehouseError."""
    asked = list(hours)
    return tuple(judge(copy.rows(f"check_{name}", hours=asked)) for name, judge in CHECKS.items())


def keys_unique(rows: Rows) -> CheckResult:
    """No two rows of a table share its key. In: one row per shared key."""
    return _none("keys_unique", "error", rows, "shared_keys")


def unpriced(rows: Rows) -> CheckResult:
    """All that requests used had a price in force. In: one row per deployment, org and price without."""
    return _none("unpriced", "warn", rows, "unpriced")


def conflicts(rows: Rows) -> CheckResult:
    """No two copies of an event differ in what is billed. In: one row per hour with such."""
    return _none("conflicts", "error", rows, "hours")


def quarantined(rows: Rows) -> CheckResult:
    """Every line of every object could be read. In: one row per object and reason."""
    return _none("quarantined", "warn", rows, "quarantined")


def tokens_conserved(rows: Rows) -> CheckResult:
    """Tokens in events = tokens in latency rows = billed + unbilled tokens. In: one row per hour.

    Other units, too; and requests: events read less their copies = requests in both tables.
    """
    columns = ("requests", "input_tokens", "cached_tokens", "output_tokens", *UNITS)
    differing = [
        row
        for row in rows
        if any(not row[name] == row[f"latency_{name}"] == row[f"usage_{name}"] for name in columns)
    ]
    sums = {name: sum(row[name] for row in rows) for name in columns}
    return CheckResult(
        "tokens_conserved",
        not differing,
        {"hours": len(rows), **sums, "hours_that_differ": _shown(differing)},
        "error",
    )


def cost_reconciles(rows: Rows) -> CheckResult:
    """Cost is tokens and units x price, to the last digit. In: a row per hour, org, deployment and version.

    Worked out again here from sums of them, in Python's integers; of units with tiers, all of what was used
    stands in one.
    """
    differing = []
    with localcontext() as exact:
        exact.prec = 100
        for row in rows:
            if row["cost"] is None and row["price_version"] is None:
                continue
            if row["prices_found"] != 1 or row["cost"] != _cost(row) or row["in_tiers"] != row["by_tier"]:
                differing.append({**row, "used_times_price": str(_cost(row)), "cost": str(row["cost"])})
    evidence = {"groups": len(rows), "groups_that_differ": _shown(differing)}
    return CheckResult("cost_reconciles", not differing, evidence, "error")


def continuity(rows: Rows) -> CheckResult:
    """In every hour some gateway told of itself: else it is not known to be empty. In: a row per gap."""
    return _none("continuity", "warn", rows, "gaps")


def gateway_counters(rows: Rows) -> CheckResult:
    """All events that gateways recorded were metered, or set aside. In: a row per hour that they told of."""
    lost = [row for row in rows if row["recorded"] > row["metered"] + row["quarantined"]]
    evidence = {
        "hours": len(rows),
        "recorded": sum(row["recorded"] for row in rows),
        "metered": sum(row["metered"] for row in rows),
        "hours_that_lack_events": _shown(lost),
    }
    return CheckResult("gateway_counters", not lost, evidence, "error")


def _cost(row: Mapping[str, Any]) -> Decimal | None:
    if row["price_input"] is None:
        return None
    pico = (
        row["input_uncached"] * row["price_input"]
        + row["input_cached"] * row["price_cached"]
        + row["output"] * row["price_output"]
        + sum(row[unit] * row[f"price_{unit}"] for unit in UNITS)
        + row["tier_pico"]
    )
    lacked: Decimal = row["minimum_cost"]
    return Decimal(pico).scaleb(-12) + lacked


def _none(name: str, severity: Literal["error", "warn"], rows: Rows, counted: str) -> CheckResult:
    return CheckResult(name, not rows, {counted: len(rows), "rows": _shown(rows)}, severity)


def _shown(rows: Rows) -> list[dict[str, Any]]:
    """The first rows, as values that JSON can carry."""
    return [
        {
            name: value if value is None or isinstance(value, int | str) else str(value)
            for name, value in row.items()
        }
        for row in rows[:_SHOWN]
    ]


CHECKS: Mapping[str, Callable[[Rows], CheckResult]] = {
    "keys_unique": keys_unique,
    "unpriced": unpriced,
    "conflicts": conflicts,
    "quarantined": quarantined,
    "tokens_conserved": tokens_conserved,
    "cost_reconciles": cost_reconciles,
    "continuity": continuity,
    "gateway_counters": gateway_counters,
}

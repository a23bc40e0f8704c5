"""The demo in numbers: `summary.json`, and the tables of the terminal.

Belongs here: putting facts into their published shape. Does not: judging them (claims.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from slipway.artifacts.weights.manifest import Manifest
from slipway.catalog import Catalog
from slipway.metering.queries import Bill, Latency
from slipway.records.price_history import PriceRow
from slipway.stack.demo.claims import Claim, by_status, tokens
from slipway.stack.demo.story import CHAT, Record

MICRO = Decimal(1_000_000)


def summary(
    catalog: Catalog,
    manifest: Manifest,
    record: Record,
    bills: Mapping[str, Bill],
    latencies: Sequence[Latency],
    prices: Sequence[PriceRow],
) -> dict[str, Any]:
    """The document of `summary.json`: plain JSON values, money as decimal strings."""
    return {
        "model": {
            "name": manifest.name,
            "source": catalog.model(manifest.name).source,
            "commit": manifest.commit,
            "bytes": manifest.size_bytes,
            "files": len(manifest.files),
        },
        "deployments": [_deployment(catalog, record, name) for name in sorted(record.first_digests)],
        "tenants": [_tenant(org, record, bills.get(org), prices) for org in record.clients],
        "latency": [
            {
                "deployment": latency.deployment,
                "ttft_ms": dict(latency.ttft_ms),
                "itl_ms": dict(latency.itl_ms),
                "duration_ms": dict(latency.duration_ms),
                "requests": latency.requests,
            }
            for latency in latencies
        ],
        "prices": [_price(row) for row in prices],
        "redeploy": {
            "run_id": record.redeploy.id if record.redeploy else None,
            "requests_during": len(record.redeploy_flow),
            "failed_during": sum(request.status != 200 for request in record.redeploy_flow),
        },
        "rollback": {
            "run_id": record.rollback.id if record.rollback else None,
            "bad_digest": record.bad_digest,
            "serving_digest": record.serving_digest,
        },
        "seconds": record.seconds,
    }


def _deployment(catalog: Catalog, record: Record, name: str) -> dict[str, Any]:
    first = record.first_digests[name]
    now = record.serving_digest if name == CHAT else first
    return {
        "name": name,
        "runtime": catalog.deployment(name).runtime,
        "spec_digest": now,
        "previous_spec_digest": first if first != now else None,
    }


def _tenant(org: str, record: Record, bill: Bill | None, prices: Sequence[PriceRow]) -> dict[str, Any]:
    seen = record.clients[org].seen
    return {
        "org": org,
        "requests": len(seen),
        "by_status": dict(bill.by_status) if bill else by_status(seen),
        "billed": {
            "input_uncached": bill.input_uncached if bill else 0,
            "input_cached": bill.input_cached if bill else 0,
            "output": bill.output if bill else 0,
        },
        "seen_by_client": tokens(seen),
        "cost": (bill.cost if bill else None) or "0",
        "currency": (bill.currency if bill else None) or prices[0].currency,
    }


def _price(row: PriceRow) -> dict[str, Any]:
    return {
        "deployment": row.deployment,
        "version": row.version,
        "effective_from": row.effective_from.isoformat(),
        "effective_to": row.effective_to.isoformat() if row.effective_to else None,
        "currency": row.currency,
        "per_1m": {
            "input": str(row.input_pico / MICRO),
            "cached_input": str(row.cached_pico / MICRO),
            "output": str(row.output_pico / MICRO),
        },
    }


def show(document: Mapping[str, Any], claims: Sequence[Claim]) -> None:
    """Print one table per tenant, one for latency, and the claims."""
    console = Console(highlight=False)
    for tenant in document["tenants"]:
        console.print(_tenant_table(tenant))
    console.print(_latency_table(document["latency"]))
    for claim in claims:
        mark = "[green]ok[/]" if claim.held else "[bold red]NO[/]"
        console.print(mark, f"{claim.text}: ", end="")
        console.print(claim.evidence[:140], markup=False)


def _tenant_table(tenant: Mapping[str, Any]) -> Table:
    table = Table("", "billed", "seen by the client", title=f"{tenant['org']}: {tenant['requests']} requests")
    billed, seen = tenant["billed"], tenant["seen_by_client"]
    table.add_row("input, uncached", str(billed["input_uncached"]), str(seen["input"] - seen["cached"]))
    table.add_row("input, cached", str(billed["input_cached"]), str(seen["cached"]))
    table.add_row("output", str(billed["output"]), str(seen["output"]))
    outcomes = ", ".join(f"{count} {status}" for status, count in tenant["by_status"].items())
    table.add_row("outcomes", outcomes, "")
    table.add_row("cost", f"{tenant['cost']} {tenant['currency']}", "")
    return table


def _latency_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("deployment", "requests", "", "p50", "p90", "p95", "p99", title="Latency, ms")
    for row in rows:
        labels = {"ttft_ms": "first token", "itl_ms": "between tokens", "duration_ms": "whole request"}
        for name, label in labels.items():
            values = ["-" if value is None else f"{value:.1f}" for value in row[name].values()]
            table.add_row(row["deployment"], str(row["requests"]), label, *values)
    return table

"""The demo as one HTML page without any other file: tables and bar charts.

Belongs here: markup. Does not: numbers (summary.py), claims (claims.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from slipway.stack.demo.claims import Claim

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --paper: #fff; --good: #1a7f37; --bad: #b3261e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dbe4ee; --paper: #12181f; --good: #57c278; --bad: #ff8a80 }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em;
  color: var(--ink); background: var(--paper); overflow-wrap: anywhere }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
.wide { overflow-x: auto } table { border-collapse: collapse; margin: .5em 0; overflow-wrap: normal }
td { padding: .2em .9em .2em 0; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums } .no { color: var(--bad); font-weight: bold }
.ok { color: var(--good) } code { font-size: .9em }
svg { max-width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: var(--ink) }
"""
_COLOURS = ("#3b6fb6", "#7ba7d9", "#e0913a", "#7a9a4f")
_BAR_PX, _LABEL_PX, _ROW_PX = 420, 210, 22


def page(document: Mapping[str, Any], claims: Sequence[Claim], made_at: datetime) -> str:
    """The whole page; it fits a phone's width, and follows the reader's light or dark."""
    model = document["model"]
    sections = [
        f"<p>{escape(model['source'])}<br>"
        f"{model['bytes'] / 1e6:.1f} MB in {counted(model['files'], 'file')}, "
        f"commit <code>{escape(model['commit'][:12])}</code><br>{made_at.astimezone(UTC):%F %H:%M} UTC</p>",
        _claims(claims),
        *(_tenant(tenant) for tenant in document["tenants"]),
        _latency(document["latency"]),
        "<h2>Prices</h2>" + _table(_price_rows(document["prices"])),
        "<h2>Seconds</h2>" + bars([(name, value) for name, value in document["seconds"].items()], "s"),
    ]
    body = "\n".join(sections)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1"><title>Slipway demo</title>'
        f"<style>{_STYLE}</style><h1>From the hub to a bill</h1>{body}</html>\n"
    )


def counted(number: int, thing: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def measured(value: float, unit: str) -> str:
    """A number with its unit: what is counted is whole, what is measured has one decimal."""
    return counted(value, unit) if isinstance(value, int) else f"{value:,.1f} {unit}"


def bars(values: Sequence[tuple[str, float]], unit: str) -> str:
    """A horizontal bar chart as inline SVG; each bar carries its number. Integers count things of `unit`."""
    largest = max((value for _, value in values), default=0) or 1
    rows = []
    for n, (label, value) in enumerate(values):
        width, y = _BAR_PX * value / largest, n * _ROW_PX
        rows.append(
            f'<text x="{_LABEL_PX - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{_LABEL_PX}" y="{y + 3}" width="{width:.1f}" height="16" '
            f'fill="{_COLOURS[n % len(_COLOURS)]}"/>'
            f'<text x="{_LABEL_PX + width + 6:.1f}" y="{y + 15}">{escape(measured(value, unit))}</text>'
        )
    height, width_px = max(len(values), 1) * _ROW_PX, _LABEL_PX + _BAR_PX + 110
    size = f'viewBox="0 0 {width_px} {height}" width="{width_px}" height="{height}"'
    return f'<svg {size} role="img">{"".join(rows)}</svg>'


def _claims(claims: Sequence[Claim]) -> str:
    rows = "".join(
        f"<tr><td class={'ok' if claim.held else 'no'}>{'holds' if claim.held else 'DOES NOT HOLD'}"
        f"<td>{escape(claim.text)}<td><code>{escape(claim.evidence[:160])}</code>"
        for claim in claims
    )
    return f"<h2>Claims</h2><div class=wide><table>{rows}</table></div>"


def _tenant(tenant: Mapping[str, Any]) -> str:
    billed, seen = tenant["billed"], tenant["seen_by_client"]
    rows = [
        ["", "billed", "seen by the client"],
        ["input, uncached", billed["input_uncached"], seen["input"] - seen["cached"]],
        ["input, cached", billed["input_cached"], seen["cached"]],
        ["output", billed["output"], seen["output"]],
    ]
    outcomes = bars(list(tenant["by_status"].items()), "request")
    return (
        f"<h2>{escape(tenant['org'])}: {counted(tenant['requests'], 'request')}, "
        f"{escape(tenant['cost'])} {escape(tenant['currency'])}</h2>{_table(rows)}{outcomes}"
    )


def _latency(latencies: Sequence[Mapping[str, Any]]) -> str:
    parts = ["<h2>Latency</h2>"]
    for row in latencies:
        labels = {
            "ttft_ms": "time to first token",
            "itl_ms": "inter-token latency",
            "duration_ms": "whole request",
        }
        for name, label in labels.items():
            values = [(quantile, value) for quantile, value in row[name].items() if value is not None]
            parts.append(f"<h3>{escape(row['deployment'])}: {label}</h3>{bars(values, 'ms')}")
    return "".join(parts)


def _price_rows(prices: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    head = ["deployment", "version", "in force from", "input", "cached input", "output", "per 1M tokens"]
    rows = [
        [
            price["deployment"],
            price["version"],
            price["effective_from"],
            *price["per_1m"].values(),
            price["currency"],
        ]
        for price in prices
    ]
    return [head, *rows]


def _table(rows: Sequence[Sequence[Any]]) -> str:
    def cell(value: Any) -> str:
        return f"<td class=n>{value:,}" if isinstance(value, int) else f"<td>{escape(str(value))}"

    lines = "".join("<tr>" + "".join(map(cell, row)) for row in rows)
    return f"<div class=wide><table>{lines}</table></div>"

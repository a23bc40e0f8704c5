"""The demo as one HTML page without any other file: its claims, tenants and prices in the frame of reports.

Belongs here: the markup of what only the demo has.
Does not: numbers (summary.py), claims (claims.py), frame, plots and filters (slipway.metering.reports).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from slipway.metering.reports import page as frame
from slipway.stack.demo.claims import Claim

_COLOURS = 8  # of the frame
_BAR_PX, _LABEL_PX, _ROW_PX = 420, 210, 22


def page(
    document: Mapping[str, Any],
    claims: Sequence[Claim],
    parts: Sequence[Mapping[str, Any]],
    made_at: datetime,
) -> str:
    """The whole page: the frame of all reports, the demo's own sections, and `parts` of the warehouse."""
    model = document["model"]
    lead = (
        f"<p>{escape(model['source'])}<br>"
        f"{model['bytes'] / 1e6:.1f} MB in {counted(model['files'], 'file')}, "
        f"commit <code>{escape(model['commit'][:12])}</code></p>"
        f"{_claims(claims)}{''.join(map(_tenant, document['tenants']))}"
    )
    tail = (
        f"<h2>Prices</h2>{_table(_price_rows(document['prices']))}"
        f"<h2>Seconds</h2>{bars(list(document['seconds'].items()), 's')}"
    )
    return frame.page("From the hub to a bill", made_at, parts, lead, tail)


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
            f'fill="var(--c{n % _COLOURS})"/>'
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

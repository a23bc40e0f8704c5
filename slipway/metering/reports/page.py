"""The frame of every page: style, script, plotting library and data in one HTML file.

Belongs here: putting them together, so that the file asks for nothing else and runs nothing of its data.
Does not: what is shown (contents.py), how it is drawn (page.js).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
# Nothing is fetched and nothing is sent, whatever the data says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(
    title: str, made_at: datetime, parts: Sequence[Mapping[str, Any]], lead: str = "", tail: str = ""
) -> str:
    """One HTML file. `parts` are of contents.py; `lead` and `tail` are HTML before and after them."""
    data = json.dumps({"parts": list(parts)}, separators=(",", ":"), allow_nan=False)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_text('vendor/uPlot.min.css')}{_text('page.css')}</style>"
        f"<h1>{escape(title)}</h1><p class=made>Made {made_at.astimezone(UTC):%F %H:%M} UTC</p>{lead}"
        "<noscript><p>Plots and filters need JavaScript, which this browser does not run.</p></noscript>"
        f"<div id=report></div>{tail}"
        f"<script id=data type=application/json>{_inert(data)}</script>"
        f"<script>{_text('vendor/uPlot.iife.min.js')}</script><script>{_text('page.js')}</script></html>\n"
    )


def _inert(data: str) -> str:
    """JSON in which no name of a tenant's can end the script that holds it."""
    return data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def _text(name: str) -> str:
    return (_HERE / name).read_text()

"""A page of usage or costs as OpenAI writes it.

Belongs here: JSON of pages, buckets and results. Does not: reading or adding up.

Beside OpenAI's fields: `complete_until` of a page, and of an amount `value_exact`, the decimal of which
`value` is the nearest floating-point number.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from slipway.gateway.admin.usage.question import Question
from slipway.gateway.admin.usage.reader import Row, Used


def page(question: Question, used: Used) -> dict[str, Any]:
    """The page; a bucket in which nothing was used has no results."""
    of_bucket: dict[int, list[Row]] = defaultdict(list)
    for row in used.rows:
        of_bucket[row["number"]].append(row)
    until = used.complete_until
    return {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": bucket.start,
                "end_time": bucket.end,
                "results": [_result(question, row) for row in of_bucket[number]],
            }
            for number, bucket in enumerate(question.page.buckets)
        ],
        "has_more": question.page.next_page is not None,
        "next_page": question.page.next_page,
        "complete_until": None if until is None else int(until.timestamp()),
    }


def _result(question: Question, row: Row) -> dict[str, Any]:
    kind = question.kind
    result: dict[str, Any] = {"object": kind.object}
    for group in sorted(kind.group_by):
        result[group] = (
            row["model" if group == "line_item" else group] if group in question.group_by else None
        )
    result |= dict.fromkeys(sorted(kind.constant))
    if "api_source" in question.group_by:
        result["api_source"] = "unlabeled"
    if kind.is_costs:
        return {**result, "amount": _amount(row), "quantity": None, "quantity_unit": None}
    return {**result, **{name: _sum(row, of) for name, of in kind.sums.items()}}


def _sum(row: Row, of: str) -> int:
    # OpenAI's seconds are whole; the milliseconds beside them are exact.
    return int(row["input_audio_ms"] + 500) // 1000 if of == "input_audio_s" else int(row[of])


def _amount(row: Row) -> dict[str, Any]:
    cost: Decimal = row["cost"]
    return {"value": float(cost), "currency": row["currency"].lower(), "value_exact": f"{cost:f}"}

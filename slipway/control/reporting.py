"""Reports as they are kept: made of the published copy, and put into the store.

Belongs here: the period that a kept report has, and where it lies.
Does not: pages (slipway.metering.reports).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.control.connections import Connections
from slipway.metering.asking import Question
from slipway.metering.periods import Period
from slipway.metering.reports.making import make
from slipway.records import published_usage
from slipway.records.usage import hour_of

DAYS = 7
# The kinds of slipway.metering.reports.contents, each with what it says.
KINDS = {
    "latency": "First token, between tokens and whole request, by hour and deployment.",
    "usage": "Requests, tokens, other units and exact cost, by hour, organisation and deployment.",
    "economics": "What deployments earned, beside the GPU time that they took, by hour.",
}


@dataclass(frozen=True)
class Reported:
    """Where a report lies in the store, how large it is, and what it is of."""

    key: str
    size_bytes: int
    period: Period


def report(at: Connections, kind: str, now: datetime) -> Reported:
    """Make the report of the last DAYS days, the running hour included, and replace the one in the store.

    Raises WarehouseError where nothing was published, ObjectStoreError.
    """
    end = hour_of(now) + timedelta(hours=1)
    period = Period(end - timedelta(days=DAYS), end)
    page = make(at.metered, kind, Question(period), now).encode()
    key = published_usage.report_key(kind)
    at.store.put(key, page, content_type="text/html; charset=utf-8")
    return Reported(key, len(page), period)

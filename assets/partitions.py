"""The hours of metering.

Belongs here: the partitions definition that all hourly assets share. Does not: schedules.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
# The running hour is included; its rows are marked not final.
HOURLY = dg.HourlyPartitionsDefinition(start_date=FIRST, timezone="UTC", end_offset=1)
# Months end before they are closed: the running one is not among them.
MONTHLY = dg.MonthlyPartitionsDefinition(start_date=FIRST, timezone="UTC", fmt="%Y-%m")
KEY_FORMAT = "%Y-%m-%d-%H:%M"


def hour_of(partition_key: str) -> datetime:
    """The hour's start as an aware UTC datetime."""
    return datetime.strptime(partition_key, KEY_FORMAT).replace(tzinfo=UTC)


def key_of(hour: datetime) -> str:
    """The partition key of an hour's start."""
    return hour.astimezone(UTC).strftime(KEY_FORMAT)


def range_tags(first: datetime, last: datetime) -> dict[str, str]:
    """Tags that make one run cover these hours and all between them (a single-run partition range)."""
    return {ASSET_PARTITION_RANGE_START_TAG: key_of(first), ASSET_PARTITION_RANGE_END_TAG: key_of(last)}

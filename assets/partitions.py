"""The hours of metering.

Belongs here: the partitions definition that all hourly assets share. Does not: schedules.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

# The running hour is included; its rows are marked not final.
HOURLY = dg.HourlyPartitionsDefinition(start_date="2026-01-01-00:00", timezone="UTC", end_offset=1)
KEY_FORMAT = "%Y-%m-%d-%H:%M"


def hour_of(partition_key: str) -> datetime:
    """The hour's start as an aware UTC datetime."""
    return datetime.strptime(partition_key, KEY_FORMAT).replace(tzinfo=UTC)


def key_of(hour: datetime) -> str:
    """The partition key of an hour's start."""
    return hour.astimezone(UTC).strftime(KEY_FORMAT)

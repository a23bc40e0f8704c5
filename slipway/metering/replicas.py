"""Replica-seconds and GPU-seconds of hours, from samples: what a request costs besides its price.

Belongs here: reading the samples of hours and replacing their rows, exactly once.
Does not: the arithmetic (sql/replicas_hourly.sql), sampling (slipway.control.replica_samples).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.metering.warehouse import Warehouse, delete_hours, mark_unpublished, sql, transaction
from slipway.objectstore import ObjectStore
from slipway.records.replica_samples import HourOfSamples, read
from slipway.records.usage import hour_of

TABLE = "replicas_hourly"


@dataclass(frozen=True)
class SampledHour:
    """What an hour's samples were: instants, the seconds that they stand for, and objects that are none."""

    hour: datetime
    instants: int
    sampled_s: int
    replica_seconds: int
    unreadable: tuple[str, ...]


def roll_up(store: ObjectStore, warehouse: Warehouse, hours: Sequence[datetime]) -> list[SampledHour]:
    """Replace the rows of these hours by what their samples say now, late ones included; in order.

    One transaction: a run that dies has replaced nothing, and running it again gives the same rows.
    Raises ObjectStoreError, WarehouseError.
    """
    asked = sorted({hour_of(hour) for hour in hours})
    with warehouse.writing() as connection:
        samples_of = {hour: read(store, hour) for hour in asked}  # as the one writer: see rollup.py
        connection.execute(sql("replica_samples"))
        columns = _columns(samples_of)
        if columns["hour"]:
            connection.execute(sql("insert_samples"), columns)
        sampled_hours = [(hour, samples.sampled_s) for hour, samples in samples_of.items()]
        connection.executemany("INSERT INTO sampled_hour VALUES (?, ?)", sampled_hours)
        with transaction(connection):
            delete_hours(connection, TABLE, asked)
            connection.execute(sql("replicas_hourly"))
            mark_unpublished(connection, [TABLE], asked)
    return [
        SampledHour(
            hour, len(samples.instants), samples.sampled_s, samples.replica_seconds, samples.unreadable
        )
        for hour, samples in samples_of.items()
    ]


def _columns(samples_of: Mapping[datetime, HourOfSamples]) -> dict[str, list[Any]]:
    rows = [
        (hour, instant, sample)
        for hour, samples in samples_of.items()
        for instant in samples.instants
        for sample in instant.samples
    ]
    return {
        "hour": [hour for hour, _, _ in rows],
        "sampled_at": [instant.at.astimezone(UTC) for _, instant, _ in rows],
        "interval_s": [instant.interval_s for _, instant, _ in rows],
        "deployment": [sample.deployment for _, _, sample in rows],
        "gpu_class": [sample.gpu_class for _, _, sample in rows],
        "replicas": [sample.replicas for _, _, sample in rows],
        "gpus": [sample.gpus for _, _, sample in rows],
    }

"""Replica-seconds and GPU-seconds of hours, from samples: what a request costs besides its price.

Belongs here: reading the samples of hours and replacing their rows, exactly once.
Does not: the arithmetic (sql/replicas_hourly.sql), sampling (slipway.control.replica_samples).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.metering.warehouse import Warehouse, sql, transaction
from slipway.objectstore import ObjectStore
from slipway.records.replica_samples import Instant, hour_prefix
from slipway.records.usage import hour_of

TABLE = "replicas_hourly"

Read = tuple[tuple[Instant, ...], tuple[str, ...]]

_AT_ONCE = 16


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
    read = {hour: _read(store, hour) for hour in asked}
    covered = {hour: sum(each.interval_s for each in instants) for hour, (instants, _) in read.items()}
    with warehouse.writing() as connection:
        connection.execute(sql("replica_samples"))
        columns = _columns(read)
        if columns["hour"]:
            connection.execute(sql("insert_samples"), columns)
        connection.executemany("INSERT INTO sampled_hour VALUES (?, ?)", list(covered.items()))
        with transaction(connection):
            connection.execute(
                "DELETE FROM replicas_hourly WHERE hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))",
                {"hours": asked},
            )
            connection.execute(sql("replicas_hourly"))
    return [
        SampledHour(hour, len(instants), covered[hour], _replica_seconds(instants), unreadable)
        for hour, (instants, unreadable) in read.items()
    ]


def _columns(read: Mapping[datetime, Read]) -> dict[str, list[Any]]:
    rows = [
        (hour, each, sample)
        for hour, (instants, _) in read.items()
        for each in instants
        for sample in each.samples
    ]
    return {
        "hour": [hour for hour, _, _ in rows],
        "sampled_at": [each.at.astimezone(UTC) for _, each, _ in rows],
        "interval_s": [each.interval_s for _, each, _ in rows],
        "deployment": [sample.deployment for _, _, sample in rows],
        "gpu_class": [sample.gpu_class for _, _, sample in rows],
        "replicas": [sample.replicas for _, _, sample in rows],
        "gpus": [sample.gpus for _, _, sample in rows],
    }


def _replica_seconds(instants: Sequence[Instant]) -> int:
    return sum(each.interval_s * sample.replicas for each in instants for sample in each.samples)


def _read(store: ObjectStore, hour: datetime) -> Read:
    """The instants of an hour, each once, and the keys of what cannot be read."""
    keys = [found.key for found in store.list(hour_prefix(hour))]
    instants: dict[datetime, Instant] = {}
    unreadable: list[str] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for key, body in zip(keys, pool.map(store.get, keys), strict=True):
            try:
                found = Instant.decode(body or b"")
            except ValueError:
                unreadable.append(key)
                continue
            if hour_of(found.at) != hour:
                unreadable.append(key)
                continue
            instants[found.at] = found
    return tuple(instants.values()), tuple(unreadable)

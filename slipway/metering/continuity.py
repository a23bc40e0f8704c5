"""What gateways say of hours beside their usage: heartbeats into the warehouse.

Belongs here: bringing those of a chunk's hours to a temporary table.
Does not: the objects (slipway.records.heartbeats), what is concluded (checks.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from slipway.metering.statements import sql
from slipway.objectstore import ObjectStore
from slipway.records import heartbeats

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "gateway_hourly"


def load(connection: DuckDBPyConnection, store: ObjectStore, chunk: Sequence[datetime]) -> None:
    """Fill the temporary table `heartbeat` with those of the chunk's hours. Raises ObjectStoreError."""
    beats = heartbeats.read(store, chunk)
    connection.execute(
        sql("heartbeats"),
        {
            "hour": [beat.hour for beat in beats],
            "replica": [beat.replica for beat in beats],
            "start": [beat.start for beat in beats],
            "recorded": [beat.recorded for beat in beats],
            "first_at": [beat.first_at for beat in beats],
            "last_at": [beat.last_at for beat in beats],
        },
    )

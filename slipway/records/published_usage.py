"""What metering publishes for those who may not open its warehouse: Parquet by table and day, the read-only
copy as one DuckDB file, and until when they are complete.

Belongs here: keys, the tables that others read, the mark of completeness.
Does not: making them (slipway.metering.publish), what is asked of them (slipway.gateway.admin.usage).

The mark is made anew from the warehouse by every publication, after its Parquet: one that is lost comes back
with the next, and says nothing that is not there yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from slipway.objectstore import ObjectStore, StoredObject

PREFIX = "metering/"
USAGE = "usage_hourly"
PRICE_KEY = f"{PREFIX}price.parquet"
COMPLETE_KEY = f"{PREFIX}complete.json"
# The published copy itself, for who has S3 alone: download it, and ATTACH it (READ_ONLY) in DuckDB.
COPY_KEY = f"{PREFIX}published.duckdb"
_DAY_SUFFIX = ".parquet"


def shard_copy_key(shard: int, shards: int) -> str:
    """Key of the published copy of one shard of the warehouse, where it has shards; its usage is in those."""
    return f"{PREFIX}shards/{shard}-of-{shards}.duckdb"


def report_key(kind: str) -> str:
    """Key of the page of one kind of report, such as `metering/reports/latency.html`."""
    return f"{PREFIX}reports/{kind}.html"


def day_key(table: str, day: date) -> str:
    """Key of one day (UTC) of a table, such as `metering/usage_hourly/day=2026-01-31.parquet`."""
    return f"{PREFIX}{table}/day={day}{_DAY_SUFFIX}"


def days(store: ObjectStore, table: str, first: date, last: date) -> Iterator[tuple[date, StoredObject]]:
    """Those of the days from `first` to `last` that were published, in order. Raises ObjectStoreError."""
    folder = f"{PREFIX}{table}/day="
    end = day_key(table, last)
    # The key before all of the first day's: nothing lies between the two.
    for stored in store.list(folder, start_after=day_key(table, first - timedelta(days=1))):
        if stored.key > end:
            return
        text = stored.key.removeprefix(folder).removesuffix(_DAY_SUFFIX)
        try:
            day = date.fromisoformat(text)
        except ValueError:
            continue
        if stored.key == day_key(table, day):
            yield day, stored


@dataclass(frozen=True)
class Complete:
    """Until when every hour was rolled up after its end, without a gap; None: not one was."""

    until: datetime | None

    def encode(self) -> bytes:
        """The object."""
        until = None if self.until is None else self.until.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return json.dumps({"complete_until": until}).encode()

    @classmethod
    def decode(cls, body: bytes) -> Complete:
        """From the object; raises ValueError for anything else."""
        try:
            text = json.loads(body)["complete_until"]
            until = None if text is None else datetime.fromisoformat(text)
        except (KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{COMPLETE_KEY}: {type(error).__name__}: {error}") from error
        if until is not None and until.tzinfo is None:
            raise ValueError(f"{COMPLETE_KEY}: complete_until = {text!r}: without a time zone")
        return cls(until)


def read_complete(store: ObjectStore) -> Complete | None:
    """The mark; None before the first publication that makes it. Raises ObjectStoreError, ValueError."""
    body = store.get(COMPLETE_KEY)
    return None if body is None else Complete.decode(body)


def write_complete(store: ObjectStore, complete: Complete) -> None:
    """Replace the mark. Raises ObjectStoreError."""
    store.put(COMPLETE_KEY, complete.encode(), content_type="application/json")

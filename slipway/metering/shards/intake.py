"""Taking an hour in: all of its usage objects read once, each request once, a part for each shard.

Belongs here: the two steps, the tasks of each, and when an intake need not be made.
Does not: who does the tasks (workers.py), what the parts become (rolling.py).

First the objects are read, in slices that may go to different machines, and their lines sorted into buckets
by their id. Then each bucket is settled: all copies of a request are in the same one, so that it is known
which of them counts before anything is told apart by organisation. (Copies that differ in their organisation
are a conflict; told apart first, each would be billed.)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.environment import S3Location
from slipway.metering.fingerprint import HourOfUsage, fingerprint, list_hours
from slipway.metering.loading import load_lines
from slipway.metering.reading import scratch
from slipway.metering.shards.workers import HereAlone, Workers
from slipway.metering.warehouse import sql, workplace
from slipway.objectstore import ObjectStore, StoredObject
from slipway.records import intake
from slipway.records.intake import Intake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SLICE_BYTES = 64 * 2**20  # compressed: some two million events
# Read once, soon, by who is near: what zstd saves in bytes costs more than it brings.
_PARQUET = "FORMAT parquet, COMPRESSION snappy"
# What latency is made of has no organisation in it, and no id: both are most of a row.
_LATENCY = "* REPLACE ('' AS org, '' AS \"user\", '' AS api_key, NULL::UUID AS request_id)"

Say = Callable[[str], None]


class IntakeError(RuntimeError):
    """An hour was not taken in, or its intake is gone; the message names it, and says what to do."""

    retriable = True


@dataclass(frozen=True)
class _Slice:
    """Objects to read, and where their lines go, by bucket."""

    location: S3Location
    hour: datetime
    contents: HourOfUsage
    folder: str
    number: int
    buckets: int


@dataclass(frozen=True)
class _Read:
    """What was read of a slice: the objects that gateways shipped, and the key of what cannot be counted."""

    shipped: tuple[StoredObject, ...]
    unreadable: str | None


@dataclass(frozen=True)
class _Bucket:
    """Lines to settle: those of one bucket of every slice."""

    location: S3Location
    folder: str
    number: int
    slices: int
    shards: int


@dataclass(frozen=True)
class _Settled:
    """What a bucket had besides: copies, and copies that differ; and the size of what was written."""

    duplicates: int
    conflicts: int
    size_bytes: int


def take_in(
    store: ObjectStore,
    hours: Sequence[datetime],
    shards: int,
    *,
    now: datetime,
    workers: Workers | None = None,
    slice_bytes: int = SLICE_BYTES,
    say: Say = lambda _: None,
) -> list[Intake]:
    """Take these hours in for so many shards; one that was taken in as it is now is left as it is.

    Raises ObjectStoreError, DamagedObjectError, WorkersError.
    """
    asked = sorted(set(hours))
    known, taken = intake.read(store, asked, shards), []
    for hour, contents in list_hours(store, asked).items():
        before = known.get(hour)
        if before is not None and before.fingerprint == fingerprint(contents.shipped):
            made = replace(before, taken_at=max(before.taken_at, now))
        else:
            made = _take_in(store, hour, contents, shards, now, workers or HereAlone(), slice_bytes)
            say(f"{hour:%Y-%m-%dT%H}: {made.objects} objects taken in, {made.size_bytes} bytes")
        taken.append(made)
    intake.write(store, taken)
    return taken


def _take_in(
    store: ObjectStore,
    hour: datetime,
    contents: HourOfUsage,
    shards: int,
    now: datetime,
    workers: Workers,
    slice_bytes: int,
) -> Intake:
    cut = list(slices(contents, slice_bytes))
    buckets = len(cut)
    folder = f"{intake.hour_prefix(hour)}{fingerprint(contents.shipped)[:16]}-{shards}/"
    tasks = [_Slice(store.location, hour, part, folder, number, buckets) for number, part in enumerate(cut)]
    read = workers.each(_read_slice, tasks)
    settled = workers.each(
        _settle, [_Bucket(store.location, folder, number, len(cut), shards) for number in range(buckets)]
    )
    shipped = [stored for each in read for stored in each.shipped]
    return Intake(
        hour, folder, shards, now, fingerprint(shipped), len(shipped),
        size_bytes=sum(each.size_bytes for each in settled),
        pieces=buckets,
        unreadable=tuple(each.unreadable for each in read if each.unreadable is not None),
        duplicates=sum(each.duplicates for each in settled),
        conflicts=sum(each.conflicts for each in settled),
    )  # fmt: skip


def slices(contents: HourOfUsage, slice_bytes: int) -> Iterator[HourOfUsage]:
    """The hour's objects in parts of about so many bytes; a larger object is a part of its own."""
    compacted = [HourOfUsage(compacted=(each,)) for each in contents.compacted]
    small: list[HourOfUsage] = []
    part: list[StoredObject] = []
    part_bytes = 0
    for stored in contents.small:
        if part and part_bytes + stored.size_bytes > slice_bytes:
            small.append(HourOfUsage(small=tuple(part)))
            part, part_bytes = [], 0
        part.append(stored)
        part_bytes += stored.size_bytes
    if part:
        small.append(HourOfUsage(small=tuple(part)))
    yield from compacted
    yield from small


def _read_slice(task: _Slice) -> _Read:
    """Read the objects of a slice, and write their lines by bucket."""
    store = ObjectStore(task.location)
    with _bench() as (connection, folder), scratch(folder) as file:
        shipped = load_lines(connection, store, {task.hour: task.contents}, file)[task.hour]
        for bucket in range(task.buckets):
            chosen = f"FROM request WHERE bucket_of(request_id, {task.buckets}) = {bucket}"
            _put(connection, store, _line_key(task.folder, task.number, bucket), chosen, folder)
        (unreadable,) = connection.execute("SELECT count(*) FROM unreadable").fetchone() or (0,)
        key = f"{task.folder}unreadable-{task.number}.parquet" if unreadable else None
        if key is not None:
            _put(connection, store, key, "FROM unreadable", folder)
        return _Read(tuple(shipped), key)


def _settle(task: _Bucket) -> _Settled:
    """Let each request of a bucket count once, and write it for the shards that have a row of it."""
    store = ObjectStore(task.location)
    with _bench() as (connection, folder):
        path = folder / "lines.parquet"
        for number in range(task.slices):
            fetch_part(store, _line_key(task.folder, number, task.number), path)
            connection.execute(f"INSERT INTO request FROM read_parquet('{path}')")
        connection.execute(sql("deduplicate"))
        size_bytes = 0
        for kind, columns, name in (("usage", "*", "org"), ("latency", _LATENCY, "deployment")):
            # Names are few beside requests: each is placed once.
            connection.execute(sql("shards_placed").replace("{name}", name), {"shards": task.shards})
            for shard in range(task.shards):
                mine = f"SEMI JOIN (FROM placed WHERE shard = {shard}) USING ({name})"
                chosen = f"SELECT {columns} FROM request {mine}"  # noqa: S608
                key = intake.part_key(task.folder, kind, shard, task.number)
                size_bytes += _put(connection, store, key, chosen, folder)
        counted = "SELECT coalesce(sum(duplicates), 0), coalesce(sum(conflicts), 0) FROM copies"
        ((duplicates, conflicts),) = connection.execute(counted).fetchall()
        return _Settled(int(duplicates), int(conflicts), size_bytes)


def fetch_part(store: ObjectStore, key: str, path: Path) -> None:
    """Bring an object of an intake to a file. Raises IntakeError when it is gone, ObjectStoreError."""
    if store.download(key, path) is None:
        raise IntakeError(
            f"{key} in bucket {store.location.bucket}: is gone; another rollup of the hour ended meanwhile "
            "and removed it. Take the hour in again, then this."
        )


def _line_key(folder: str, slice_number: int, bucket: int) -> str:
    return f"{folder}lines-{slice_number}-{bucket}.parquet"


def _put(connection: DuckDBPyConnection, store: ObjectStore, key: str, source: str, folder: Path) -> int:
    """Write rows as an object; returns its size in bytes."""
    path = folder / "rows.parquet"
    connection.execute(f"COPY ({source}) TO '{path}' ({_PARQUET})")
    store.upload(key, path, content_type="application/vnd.apache.parquet")
    return path.stat().st_size


@contextmanager
def _bench() -> Iterator[tuple[DuckDBPyConnection, Path]]:
    """A database with the tables of a chunk, and a folder; on whatever machine the task runs."""
    with (
        tempfile.TemporaryDirectory(prefix="slipway-intake-") as root,
        workplace(Path(root) / "work") as (connection, folder),
    ):
        connection.execute(sql("units") + sql("chunk_begin") + sql("shards"))
        yield connection, folder

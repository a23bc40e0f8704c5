"""A compacted object: one Parquet object that stands for small usage objects of an hour, line by line.

Belongs here: what it says of itself (in its footer), whether it is whole, its lines into DuckDB.
Does not: making and removing (compaction.py), which objects of an hour are read (fingerprint.py).

It has a row for each line of what it was made of, the line itself included: what could not be read, with its
reason; what could, with the columns of `request`. So nothing is lost by compaction, not even what a later
version reads in a line and this one does not.
"""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.metering.statements import sql
from slipway.objectstore import ObjectStore, StoredObject
from slipway.records.usage import compacted_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MAGIC = b"PAR1"
_TAIL_BYTES = 8  # the footer's length, and the magic


class DamagedObjectError(RuntimeError):
    """A compacted object is not what was written; the message names it, and says what to do."""


@dataclass(frozen=True)
class Contents:
    """Counts and sums of a compacted object's rows.

    `rows_hash` is over every value of every row, in any order, as a version of DuckDB (`hashed_by`) hashes.
    """

    lines: int
    counted: int
    tokens: int
    rows_hash: str
    hashed_by: str

    def agree(self, other: Contents) -> bool:
        """Whether these are the same rows. Hashes of different versions tell nothing of each other."""
        if self.hashed_by != other.hashed_by:
            other = replace(other, rows_hash=self.rows_hash, hashed_by=self.hashed_by)
        return self == other


@dataclass(frozen=True)
class Compacted:
    """A compacted object, and the small ones that it stands for."""

    stored: StoredObject
    made_at: datetime
    made_of: tuple[StoredObject, ...]
    contents: Contents


def described(made_at: datetime, made_of: Sequence[StoredObject], contents: Contents) -> dict[str, str]:
    """What the Parquet footer says, by key."""
    listed = json.dumps([[stored.key, stored.size_bytes, stored.etag] for stored in made_of])
    return {
        "slipway_made_at": made_at.isoformat(),
        "slipway_made_of": b64encode(zlib.compress(listed.encode(), 9)).decode(),
        "slipway_contents": json.dumps(vars(contents)),
    }


def damage(stored: StoredObject) -> str | None:
    """What is wrong with a compacted object by its size, or None."""
    name = compacted_name(stored.key)
    if name is None or name.size_bytes == stored.size_bytes:
        return None
    return f"has {stored.size_bytes} bytes, {name.size_bytes} were written"


def read_compacted(store: ObjectStore, stored: StoredObject) -> Compacted:
    """What a compacted object says of itself. Raises ObjectStoreError, DamagedObjectError."""
    trouble = damage(stored)
    if trouble is not None:
        raise damaged(store, stored.key, trouble)
    tail = store.part(stored.key, stored.size_bytes - _TAIL_BYTES, stored.size_bytes)
    if tail is None or tail[4:] != _MAGIC:
        raise damaged(store, stored.key, "is gone or is no Parquet")
    length = int(struct.unpack("<I", tail[:4])[0]) + _TAIL_BYTES
    footer = store.part(stored.key, max(0, stored.size_bytes - length), stored.size_bytes)
    try:
        return _parsed(stored, footer or b"")
    except (ValueError, KeyError, TypeError, OSError, zlib.error) as error:
        raise damaged(store, stored.key, f"has a footer that is none ({type(error).__name__})") from error


def _parsed(stored: StoredObject, footer: bytes) -> Compacted:
    import pyarrow as pa
    import pyarrow.parquet as pq

    said: Mapping[bytes, bytes] = pq.read_metadata(pa.BufferReader(footer)).metadata or {}
    made_of = json.loads(zlib.decompress(b64decode(said[b"slipway_made_of"])))
    return Compacted(
        stored,
        datetime.fromisoformat(said[b"slipway_made_at"].decode()),
        tuple(StoredObject(*each) for each in made_of),
        Contents(**json.loads(said[b"slipway_contents"])),
    )


def damaged(store: ObjectStore, key: str, trouble: str) -> DamagedObjectError:
    """The error for one that is not what was written, with its remedy."""
    return DamagedObjectError(
        f"{key} in bucket {store.location.bucket}: {trouble}. It stands for usage that may be nowhere else: "
        "restore it from a backup or an earlier version of the object, then run this again. Where its small "
        "objects are still there, remove it instead: it is made anew. Nothing was changed."
    )


def fetch_compacted(store: ObjectStore, compacted: Compacted, path: Path) -> None:
    """Bring it to a file. Raises ObjectStoreError, DamagedObjectError."""
    size_bytes = store.download(compacted.stored.key, path)
    if size_bytes != compacted.stored.size_bytes:
        raise damaged(store, compacted.stored.key, f"has {size_bytes or 0} bytes when it is read")


def contents_of(connection: DuckDBPyConnection, source: str) -> Contents:
    """Counts, sums and the hash of the rows of a table or of `read_parquet(...)`."""
    row = connection.execute(sql("compacted_contents").replace("{source}", source)).fetchone()
    assert row is not None  # aggregates have a row
    return Contents(*row)


def load_compacted(connection: DuckDBPyConnection, path: Path) -> None:
    """Bring the rows of a file to `request` and `unreadable`; lines are read again where columns are missing.

    Raises duckdb.Error where the file is damaged.
    """
    if is_current(connection, path):
        connection.execute(sql("read_compacted").replace("{source}", parquet(path)))
    else:
        judge_compacted(connection, path)
        connection.execute(sql("take_lines"))


def is_current(connection: DuckDBPyConnection, path: Path) -> bool:
    """Whether a file has all columns of `request`: one that an earlier version made need not."""
    return _columns(connection, "FROM request") <= _columns(connection, f"FROM {parquet(path)}")


def judge_compacted(connection: DuckDBPyConnection, path: Path) -> None:
    """Bring every line of a file to `judged`, as if it was read for the first time."""
    connection.execute(sql("read_compacted_lines").replace("{source}", parquet(path)))
    connection.execute(sql("read_lines"))
    connection.execute("DROP TABLE batch")


def parquet(path: Path) -> str:
    """The file as a table in SQL."""
    return "read_parquet('" + str(path).replace("'", "''") + "')"


def _columns(connection: DuckDBPyConnection, relation: str) -> set[str]:
    return {row[0] for row in connection.execute(f"DESCRIBE {relation}").fetchall()}

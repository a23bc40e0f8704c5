"""The DuckDB warehouse: where its file lies, and the one writer that may open it.

Belongs here: connections with bounded memory and UTC, the writer's lock, which tables have rows by the hour.
Does not: the schema and its versions (schema.py), what is written (rollup.py, replicas.py, price_table.py),
what readers open (published.py).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.metering import schema, sharded
from slipway.metering.statements import sql as sql
from slipway.metering.troubles import WarehouseError as WarehouseError
from slipway.metering.troubles import explained

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Made of those below within the same transaction, by the day and the month: not published, as they follow.
DERIVED_TABLES = ("latency_hist_daily", "latency_hist_monthly")
# What a rollup of usage replaces by the hour and publishes by the day. replicas.TABLE has its own rollup.
USAGE_TABLES = (
    "deployment_hourly",
    "latency_hist_hourly",
    "latency_by_key_hourly",
    "usage_hourly",
    "rollup_run",
    "quarantine",
    "gateway_hourly",
)

_LOCK_TIMEOUT_S = 300.0
# With what is not DuckDB's a rollup of five million events stays below 1.5 GiB (make bench-metering).
_WRITER_MEMORY_BYTES = 1229 * 2**20
_WORK_MEMORY_BYTES = 1 * 2**30
_THREADS = 2


@dataclass(frozen=True)
class Warehouse:
    """One directory with the live file, its published copy and DuckDB's spill files.

    DuckDB's buffers are bounded; what is larger spills into the directory. With more than one of `shards`,
    rows of usage and latency are in those (`parts`), each a warehouse of its own with a writer of its own;
    whoever opens this one sees them in it.
    """

    directory: Path
    shards: int = 1

    @property
    def parts(self) -> tuple[Warehouse, ...]:
        """The shards, each with its share of organisations and deployments; none where there is but one."""
        if self.shards == 1:
            return ()
        folder = self.directory / "shards"
        return tuple(Warehouse(folder / f"{number}-of-{self.shards}") for number in range(self.shards))

    @property
    def path(self) -> Path:
        """The live file. Only `writing()` opens it."""
        return self.directory / "warehouse.duckdb"

    @property
    def published_path(self) -> Path:
        """The read-only copy that everybody else opens; replaced as a whole after each rollup."""
        return self.directory / "published.duckdb"

    @property
    def spill_dir(self) -> Path:
        """Where DuckDB puts what does not fit into memory while it works."""
        return self.directory / "spill"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one writer, among all processes of this machine; WarehouseError when another one stays long.

        A lock beside the file and not DuckDB's own: that one is a POSIX lock, which is lost as soon as this
        process closes any other handle of the file, such as the one that copies it.
        """
        with self._alone("warehouse.lock", "writing", "that rollup"):
            yield

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Be the one who publishes Parquet: of two at once, the one that read less must not write last."""
        with self._alone("parquet.lock", "publishing Parquet", "that publication"):
            yield

    @contextmanager
    def compacting(self) -> Iterator[None]:
        """Be the one who compacts usage: two at once would do everything twice."""
        with self._alone("compaction.lock", "compacting usage", "that compaction"):
            yield

    @contextmanager
    def _alone(self, name: str, doing: str, end: str) -> Iterator[None]:
        from filelock import FileLock, Timeout

        lock = FileLock(self.directory / name, timeout=_LOCK_TIMEOUT_S)
        try:
            with explained(self.path):
                self.directory.mkdir(parents=True, exist_ok=True)
                lock.acquire()
        except Timeout as error:
            raise WarehouseError(
                f"{self.path}: another process has been {doing} for more than {_LOCK_TIMEOUT_S:g} s. "
                f"Wait for {end} to end, then run this again."
            ) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def writing(self) -> Iterator[DuckDBPyConnection]:
        """A short read-write connection, as the one writer. Raises WarehouseError."""
        with self.locked(), self.opened() as connection:
            yield connection

    @contextmanager
    def opened(self) -> Iterator[DuckDBPyConnection]:
        """A read-write connection with the schema in place, for a caller that is `locked()`.

        A file of an earlier version is migrated, after a copy of it was kept beside it. Raises WarehouseError
        when the file is of a later version, is locked by a program that is not Slipway, is no warehouse, or
        when disk or memory do not suffice; what was not committed is then not there.
        """
        shutil.rmtree(self.spill_dir, ignore_errors=True)  # what a killed writer left
        with explained(self.path):
            connection = self._migrated(self._connect())
            try:
                connection.execute(sql("units"))
                sharded.show(connection, [part.published_path for part in self.parts])
                yield connection
            finally:
                connection.close()

    def _migrated(self, connection: DuckDBPyConnection) -> DuckDBPyConnection:
        """The connection, or another one, with the schema of this version."""
        try:
            found = schema.version(connection)
            schema.check_known(self.path, found)
            if found is not None and found < schema.VERSION:
                connection.execute("CHECKPOINT")  # all of it is in the file, none in a log beside it
                connection.close()
                schema.keep_copy(self.path, found)
                connection = self._connect()
            schema.migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(str(self.path))
        bound(connection, _WRITER_MEMORY_BYTES)
        connection.execute(f"SET temp_directory = '{_quoted(self.spill_dir)}'")
        return connection


def bound(connection: DuckDBPyConnection, memory_bytes: int) -> None:
    """Set what every connection of metering has: UTC, bounded memory and threads, no order to keep."""
    connection.execute(
        f"SET TimeZone = 'UTC'; SET memory_limit = '{int(memory_bytes)}B'; SET threads = {_THREADS}; "
        "SET preserve_insertion_order = false"
    )


@contextmanager
def workplace(directory: Path) -> Iterator[tuple[DuckDBPyConnection, Path]]:
    """A database in memory that spills into a folder of its own beside `directory`, both gone at the end."""
    import duckdb

    with explained(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix="work-") as folder:
            connection = duckdb.connect()
            try:
                bound(connection, _WORK_MEMORY_BYTES)
                connection.execute(f"SET temp_directory = '{_quoted(Path(folder))}/spill'")
                yield connection, Path(folder)
            finally:
                connection.close()


@contextmanager
def transaction(connection: DuckDBPyConnection) -> Iterator[None]:
    """Commit when the block ends, roll back when it raises."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def mark_unpublished(
    connection: DuckDBPyConnection, tables: Sequence[str], hours: Sequence[datetime]
) -> None:
    """Note that Parquet of the days of these hours is behind, within the transaction that puts it there."""
    connection.execute(sql("mark_unpublished"), {"tables": list(tables), "hours": list(hours)})


def delete_hours(connection: DuckDBPyConnection, table: str, hours: Sequence[datetime]) -> None:
    """Remove the rows of these hours, within the transaction that brings new ones."""
    connection.execute(
        f"DELETE FROM {table} WHERE hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))",  # noqa: S608
        {"hours": list(hours)},
    )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")

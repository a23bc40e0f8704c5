"""Reading the published copy: short read-only connections that see one whole rollup.

Belongs here: opening the copy, running a named query of `sql/`, rows as plain Python values.
Does not: the queries' meaning (queries.py, checks.py), making the copy (publish.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.metering import schema, sharded
from slipway.metering.troubles import explained
from slipway.metering.warehouse import Warehouse, WarehouseError, bound, sql

if TYPE_CHECKING:
    import duckdb
    from duckdb import DuckDBPyConnection

_READER_MEMORY_BYTES = 512 * 2**20
_ATTEMPTS = 100


@dataclass(frozen=True)
class PublishedCopy:
    """The read-only copy in a warehouse's directory. Money comes out as Decimal, instants as aware UTC."""

    directory: Path
    shards: int = 1

    @classmethod
    def of(cls, warehouse: Warehouse) -> PublishedCopy:
        """The copy of a warehouse, with the rows of its shards."""
        return cls(warehouse.directory, warehouse.shards)

    @property
    def path(self) -> Path:
        """The copy; another file takes its place whenever a rollup publishes."""
        return self._warehouse.published_path

    @property
    def _warehouse(self) -> Warehouse:
        return Warehouse(self.directory, self.shards)

    def rows(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows of `sql/<query>.sql` as dictionaries. Raises WarehouseError when nothing was published."""
        with self.reading() as connection:
            cursor = connection.execute(sql(query), parameters)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]

    @contextmanager
    def reading(self) -> Iterator[DuckDBPyConnection]:
        """A read-only connection to the copy as it is now; publishing a newer one does not disturb it."""
        connection = self._attached()
        try:
            with explained(self.path):
                yield connection
        finally:
            connection.close()

    @contextmanager
    def held(self) -> Iterator[PublishedCopy]:
        """The copy as it is now, for several questions that must be answered by the same one."""
        with self.reading() as connection:
            yield _HeldCopy(self.directory, self.shards, connection=connection)

    def _attached(self) -> DuckDBPyConnection:
        # DuckDB opens a file twice while it attaches it, once for its headers and once for its blocks:
        # of a copy that is replaced between the two it would show a mixture.
        for _ in range(_ATTEMPTS):
            before = self._identity()
            attached = self._attach()
            replaced = self._identity() != before
            if isinstance(attached, Exception):
                if not replaced:
                    why = "" if before else ", it is not there"
                    raise WarehouseError(
                        f"{self.path}: cannot be read{why}. Roll up an hour; that publishes a new copy."
                    ) from attached
            elif replaced:
                attached.close()
            else:
                return attached
        raise WarehouseError(f"{self.path}: was replaced {_ATTEMPTS} times while it was opened. Try again.")

    def _identity(self) -> tuple[int, int] | None:
        with suppress(OSError):
            status = self.path.stat()
            return (status.st_ino, status.st_mtime_ns)
        return None

    def _attach(self) -> DuckDBPyConnection | duckdb.Error:
        import duckdb

        # Attached to a database in memory: DuckDB keeps one instance per path and process, so that
        # connecting to the path itself would show the old copy for as long as any reader is open.
        connection = duckdb.connect()
        try:
            bound(connection, _READER_MEMORY_BYTES)
            path = str(self.path).replace("'", "''")
            connection.execute(f"ATTACH '{path}' AS published (READ_ONLY); USE published; {sql('units')}")
            found = schema.version(connection, "published")
            schema.check_known(self.path, found)
            if found != schema.VERSION:
                schema.complete_with_views(connection, "published")
            sharded.show(connection, [part.published_path for part in self._warehouse.parts])
        except WarehouseError:
            connection.close()
            raise
        except duckdb.Error as error:
            connection.close()
            return error
        return connection


@dataclass(frozen=True)
class _HeldCopy(PublishedCopy):
    """A copy that was opened once; whoever opened it closes it."""

    connection: DuckDBPyConnection = field(kw_only=True)

    @contextmanager
    def reading(self) -> Iterator[DuckDBPyConnection]:
        yield self.connection

    @contextmanager
    def held(self) -> Iterator[PublishedCopy]:
        yield self


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value

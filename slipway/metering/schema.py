"""The warehouse's schema and its version: what a file has to have, and what becomes of one that has not.

Belongs here: the files that make the schema, its number in a warehouse, migrating forward, refusing a later
one, and reading a copy that an earlier version published.
Does not: opening files (warehouse.py, published.py), the tables' columns (sql/).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.metering.statements import sql
from slipway.metering.troubles import WarehouseError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Files of sql/ that make the schema, in order. Each can be run again, and only adds: tables and views `IF NOT
# EXISTS`, and columns `ADD COLUMN IF NOT EXISTS` with a default that is true of the rows before. A topic has
# a file of its own, `schema_<topic>`. Views of an earlier version are made anew: they hold no rows.
SCHEMA: tuple[str, ...] = (
    "schema", "schema_latency", "schema_rating", "schema_billing", "schema_economics",
    "schema_continuity",
)  # fmt: skip

# To be raised with each change of SCHEMA that came to somebody: a copy of this version is read as it is,
# one of an earlier version is completed. 1 is what files have that say none.
VERSION = 3

_TABLE = "warehouse_version"


def statements() -> str:
    """All statements that make the schema, those of VERSION itself not."""
    return "".join(sql(name) for name in SCHEMA)


def version(connection: DuckDBPyConnection, database: str | None = None) -> int | None:
    """The schema version of a database (default: the current one); None where it has no tables at all."""
    database = database or str(_one(connection, "SELECT current_database()"))
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = $database", {"database": database}
    ).fetchall()
    if not tables:
        return None
    if (_TABLE,) not in tables:
        return 1
    return int(_one(connection, f'SELECT coalesce(max(version), 1) FROM "{database}".{_TABLE}'))  # noqa: S608


def check_known(path: Path, found: int | None) -> None:
    """Raise WarehouseError for the schema of a later Slipway: what it holds is not known here."""
    if found is not None and found > VERSION:
        raise WarehouseError(
            f"{path}: has version {found} of the schema, made by a later Slipway; this one knows those "
            f"up to {VERSION}. Run that one; or, to stay with this one, move the file away, then make "
            "the warehouse anew with `slipway warehouse rebuild`. Nothing was changed."
        )


def migrate(connection: DuckDBPyConnection) -> None:
    """Bring the current database to VERSION, as a whole or not at all; harmless when it is there."""
    connection.execute("BEGIN")
    try:
        if (version(connection) or VERSION) < VERSION:
            for name in views(connection):
                connection.execute(f'DROP VIEW "{name}"')
        connection.execute(statements())
        connection.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (version INTEGER, since TIMESTAMPTZ)")
        connection.execute(
            f"INSERT INTO {_TABLE} SELECT $version, now() "  # noqa: S608
            f"WHERE $version > (SELECT coalesce(max(version), 0) FROM {_TABLE})",
            {"version": VERSION},
        )
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def kept_path(path: Path, found: int) -> Path:
    """Where the file of an earlier version is kept, beside it: `warehouse.version-1.duckdb`."""
    return path.with_name(f"{path.stem}.version-{found}{path.suffix}")


def keep_copy(path: Path, found: int) -> Path:
    """Keep a copy of a file of an earlier version, whole or not at all; its caller has closed it."""
    kept = kept_path(path, found)
    unfinished = kept.with_suffix(".unfinished")
    copy_durably(path, unfinished)
    unfinished.replace(kept)
    return kept


def copy_durably(source: Path, target: Path) -> None:
    """Copy a file, and return when it is on the disk."""
    with source.open("rb") as original, target.open("wb") as copy:
        shutil.copyfileobj(original, copy, 8 * 2**20)
        copy.flush()
        os.fsync(copy.fileno())


def complete_with_views(connection: DuckDBPyConnection, database: str) -> None:
    """Let a read-only database of an earlier version look like one of this: views add what it lacks.

    A column that is missing has its default, a table that is missing is empty. The connection's own database
    is one in memory, whose tables say what there should be.
    """
    connection.execute(f"USE memory; {statements()}; USE {database}")
    for (table,) in connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'memory' ORDER BY table_name"
    ).fetchall():
        wanted, there = _columns(connection, "memory", table), _columns(connection, database, table)
        missing = [name for name in wanted if name not in there]
        if not there:
            connection.execute(f'CREATE TEMP VIEW "{table}" AS FROM memory."{table}"')
        elif missing:
            added = ", ".join(f'{wanted[name][1]}::{wanted[name][0]} AS "{name}"' for name in missing)
            view = f'SELECT *, {added} FROM "{database}".main."{table}"'  # noqa: S608
            connection.execute(f'CREATE TEMP VIEW "{table}" AS {view}')
    for view in views(connection, "memory").values():
        connection.execute(view.replace("CREATE VIEW", "CREATE TEMP VIEW", 1))


def views(connection: DuckDBPyConnection, database: str | None = None) -> dict[str, str]:
    """The views of a database (default: the current one), and the statement that makes each."""
    rows = connection.execute(
        "SELECT view_name, sql FROM duckdb_views() "
        "WHERE database_name = coalesce($database, current_database()) AND NOT internal AND NOT temporary",
        {"database": database},
    ).fetchall()
    return dict(rows)


def _columns(connection: DuckDBPyConnection, database: str, table: str) -> dict[str, tuple[str, str]]:
    """Type and default of each column of a table, by name; none where there is no such table."""
    rows = connection.execute(
        "SELECT column_name, data_type, coalesce(column_default, 'NULL') FROM duckdb_columns() "
        "WHERE database_name = $database AND table_name = $table ORDER BY column_index",
        {"database": database, "table": table},
    ).fetchall()
    return {name: (kind, default) for name, kind, default in rows}


def _one(connection: DuckDBPyConnection, statement: str) -> int | str:
    (row,) = connection.execute(statement).fetchall()  # all of it: a result that waits holds the connection
    value: int | str = row[0]
    return value

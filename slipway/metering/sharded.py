"""One view over the shards of a warehouse: their published copies attached, their rows as tables of one.

Belongs here: attaching, and the views that take the place of the tables which shards have.
Does not: what is in which shard (shards/), opening the warehouse itself (warehouse.py, published.py).

Views are temporary, and found before the tables of their names: whoever opened a connection asks it as if it
had one file. A table that no shard has by organisation or deployment is the warehouse's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.metering import schema
from slipway.metering.troubles import WarehouseError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Rows of these are in one shard each, by deployment or by organisation.
TABLES = (
    "deployment_hourly", "latency_hist_hourly", "latency_hist_daily", "latency_hist_monthly",
    "latency_by_key_hourly", "usage_hourly", "cost_rated", "hour_prices", "quarantine",
)  # fmt: skip
# Each shard has a row for each of its hours.
RUNS = "rollup_run"
DIFFER = "shards differ"
_ATTEMPTS = 100

# Columns of RUNS that are no counts. An hour whose shards were made of different objects has the fingerprint
# of none, so that whoever compares it asks for it again.
_RUN_COLUMNS = {
    "run_id": "max(run_id)",
    "input_fingerprint": "CASE WHEN count(DISTINCT input_fingerprint) = 1 THEN min(input_fingerprint) "
    f"ELSE '{DIFFER}' END",
    "objects": "max(objects)",
    "final": "bool_and(final)",
    "rolled_up_at": "min(rolled_up_at)",
}


def name_of(shard: int) -> str:
    """The name that a shard's copy is attached by."""
    return f"shard_{shard}"


def show(connection: DuckDBPyConnection, copies: Sequence[Path]) -> None:
    """Let the connection's database show the rows of these shards, each at its place; none: nothing to show.

    A shard that has published nothing yet has no rows. Raises WarehouseError.
    """
    if not copies:
        return
    there = [number for number, path in enumerate(copies) if _attached(connection, path, name_of(number))]
    for table in TABLES:
        rows = _rows(connection, table, there)
        connection.execute(f'CREATE OR REPLACE TEMP VIEW "{table}" AS {rows}')
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {RUNS} AS {_runs(connection, there, len(copies))}")
    for view in schema.views(connection).values():
        connection.execute(view.replace("CREATE VIEW", "CREATE OR REPLACE TEMP VIEW", 1))


def unpublished(shards: int) -> str:
    """The statement that tells which days of which tables are not published as they are, with their marks."""
    from_all = ["unpublished_day", *(f"{name_of(each)}.main.unpublished_day" for each in range(shards))]
    return " UNION ALL ".join(f"SELECT table_name, day, mark FROM {each}" for each in from_all)  # noqa: S608


def _rows(connection: DuckDBPyConnection, table: str, shards: Sequence[int]) -> str:
    """The rows of a table in these shards, with the columns of the database's own table, which has none."""
    (own,) = connection.execute("SELECT current_database()").fetchone() or ("memory",)
    rows = [
        f'SELECT * FROM "{own}".main."{table}" WHERE false',  # noqa: S608
        *(f'SELECT * FROM {name_of(each)}.main."{table}"' for each in shards),  # noqa: S608
    ]
    return " UNION ALL BY NAME ".join(rows)


def _runs(connection: DuckDBPyConnection, there: Sequence[int], shards: int) -> str:
    """One row per hour that every shard has."""
    rows = _rows(connection, RUNS, there)
    columns = [name for (name, *_) in connection.execute(f"DESCRIBE {rows}").fetchall() if name != "hour"]
    told = ", ".join(f"{_RUN_COLUMNS.get(name, f'sum({name})::BIGINT')} AS {name}" for name in columns)
    return f"SELECT hour, {told} FROM ({rows}) GROUP BY hour HAVING count(*) = {shards}"  # noqa: S608


def _attached(connection: DuckDBPyConnection, path: Path, name: str) -> bool:
    """Attach a shard's copy; False where it has none.

    As in published.py: a file that is replaced while it is opened would be a mixture of two.
    """
    import duckdb

    quoted = str(path).replace("'", "''")
    for _ in range(_ATTEMPTS):
        before = _identity(path)
        if before is None:
            return False
        try:
            connection.execute(f"ATTACH '{quoted}' AS {name} (READ_ONLY)")
        except duckdb.Error as error:
            if _identity(path) == before:
                raise WarehouseError(
                    f"{path}: cannot be read. `slipway warehouse rebuild` makes it anew."
                ) from error
            continue
        if _identity(path) == before:
            _check_version(connection, path, name)
            return True
        connection.execute(f"DETACH {name}")
    raise WarehouseError(f"{path}: was replaced {_ATTEMPTS} times while it was opened. Try again.")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns)


def _check_version(connection: DuckDBPyConnection, path: Path, name: str) -> None:
    found = schema.version(connection, name)
    schema.check_known(path, found)
    if found != schema.VERSION:
        raise WarehouseError(
            f"{path}: has version {found} of the schema, an earlier Slipway's; this one has "
            f"{schema.VERSION}. `slipway warehouse rebuild` makes it anew."
        )

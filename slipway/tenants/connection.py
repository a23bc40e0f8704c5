"""Connections to the tenants' database: the pragmas SQLite needs, and errors that say what to do.

Belongs here: making an engine for SQLite or PostgreSQL, and how long each may wait.
Does not: asking it (transactions.py).
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from slipway.tenants.trouble import TenantsDatabaseError as TenantsDatabaseError

_BUSY_TIMEOUT_MS = 5_000
_BUSY_PAUSE_S = 0.005
# Without them a server that vanishes holds whoever asked it while the kernel sends again: 15 minutes.
_LIBPQ_DRIVERS = frozenset({"psycopg", "psycopg2"})
_NO_URL = (
    "SLIPWAY_TENANTS_DB is not the URL of a database. Write sqlite:////absolute/path.db, or "
    "postgresql+psycopg://user:password@host/database."
)
_LIBPQ_PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 10}
# Of the server, in its own words; a server that does not keep to them is left (transactions.py).
_SERVER_PATIENCE = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
}
_POOL_WAIT_S = 5


def connect(url: str) -> Engine:
    """Return an engine for the URL; nothing is opened before first use. Raises TenantsDatabaseError."""
    parsed = _parsed(url)
    try:
        return _engine(parsed)
    except ModuleNotFoundError as error:
        raise TenantsDatabaseError(
            f"tenants' database {safe_url(url)}: its driver is not installed. Install the Python package "
            f"{error.name}, or name another in SLIPWAY_TENANTS_DB, such as postgresql+psycopg://..."
        ) from error
    except ArgumentError as error:
        raise TenantsDatabaseError(_NO_URL) from error


def missing_file(url: str) -> Path | None:
    """The file of an SQLite database that is not there; None where there is one, or a server."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    if str(parsed.database).startswith("file:"):  # a URI of SQLite's own, whose `mode` says what may be made
        return None
    path = Path(str(parsed.database)).absolute()
    return None if path.exists() else path


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # the second for a port that is no number
        raise TenantsDatabaseError(_NO_URL) from error


def _engine(parsed: URL) -> Engine:
    if parsed.get_backend_name() != "sqlite":
        patience = _LIBPQ_PATIENCE if parsed.get_driver_name() in _LIBPQ_DRIVERS else {}
        given = {name: value for name, value in patience.items() if name not in parsed.query}
        engine = create_engine(
            parsed, pool_size=2, max_overflow=4, pool_timeout=_POOL_WAIT_S, connect_args=given
        )
        if parsed.get_backend_name() == "postgresql":
            event.listen(engine, "connect", _set_patience)
        return engine
    # No pool: an open handle would go on reading a file that a restore has replaced. Opening takes 0.2 ms.
    engine = create_engine(parsed, poolclass=NullPool, connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin_immediately)
    return engine


def safe_url(url: str) -> str:
    """The URL for messages: its password is hidden."""
    return make_url(url).render_as_string(hide_password=True)


def _set_patience(dbapi_connection: Any, _record: object) -> None:
    with dbapi_connection.cursor() as cursor:
        for name, value in _SERVER_PATIENCE.items():
            cursor.execute(f"SET {name} = '{value}'")
    dbapi_connection.commit()


def _set_pragmas(dbapi_connection: Any, _record: object) -> None:
    # Python's driver opens transactions by itself, and late; we open them in _begin_immediately.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    _use_wal(cursor)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """The gateway reads while a key is being made. WAL is a property of the file and needs a write.

    Of several that change a new file at once, SQLite fails some at once, whatever `busy_timeout` says.
    """
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(_BUSY_PAUSE_S)


def _begin_immediately(connection: Connection) -> None:
    """Take the write lock first: a read lock raised later fails with "database is locked" at once."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")

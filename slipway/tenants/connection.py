"""Connections to the tenants' database: the pragmas SQLite needs, and errors that say what to do.

Belongs here: making an engine for SQLite or PostgreSQL. Does not: what is asked of it (database.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url

_BUSY_TIMEOUT_MS = 5_000


def connect(url: str) -> Engine:
    """Return an engine for the URL; nothing is opened before first use."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, pool_size=2, max_overflow=4)
    # No pool: an open handle would go on reading a file that a restore has replaced. Opening takes 0.2 ms.
    engine = create_engine(parsed, poolclass=NullPool, connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin_immediately)
    return engine


def safe_url(url: str) -> str:
    """The URL for messages: its password is hidden."""
    return make_url(url).render_as_string(hide_password=True)


def _set_pragmas(dbapi_connection: Any, _record: object) -> None:
    # Python's driver opens transactions by itself, and late; we open them in _begin_immediately.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    # WAL: the gateway reads while a key is being made. It is a property of the file and needs a write.
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_immediately(connection: Connection) -> None:
    """Take the write lock first: a read lock raised later fails with "database is locked" at once."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")

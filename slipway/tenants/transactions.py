"""Asking the tenants' database and changing it: one connection, one transaction, an end to waiting.

Belongs here: what every query and every change has in common. Does not: what is asked (a module per table).

A change takes the counter's row first, so that changes are made one after the other on every database: what
one of them has checked is still so when it writes.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from slipway.tenants.connection import connect, missing_file, safe_url
from slipway.tenants.models import COUNTER_ID, ChangeCounter
from slipway.tenants.trouble import MIGRATE, TenantsDatabaseError, explained

# Beyond what the server itself allows: one that is stopped keeps to nothing.
_LONGEST_S = 15.0
_LONGEST_MIGRATION_S = 300.0


class Change:
    """A change under way. `made` says that something did change."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.is_made = False

    def made(self) -> None:
        """Count this change when it is committed; harmless twice."""
        self.is_made = True


class Transactions:
    """The database at one SQLAlchemy URL. Safe to share between threads; connects on first use."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine = connect(url)

    @property
    def name(self) -> str:
        """Its URL for messages: the password is hidden."""
        return safe_url(self._url)

    @property
    def missing_file(self) -> Path | None:
        """The file of an SQLite database that is not there; None where there is one, or a server."""
        return missing_file(self._url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries, each of which sees what is committed."""
        with self._connected(_LONGEST_S) as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """A transaction that changes something; no other change is made meanwhile."""
        with self._connected(_LONGEST_S) as connection, connection.begin():
            _lock(connection, self.name)
            change = Change(connection)
            yield change
            if change.is_made:
                connection.execute(
                    update(ChangeCounter)
                    .where(ChangeCounter.id == COUNTER_ID)
                    .values(value=ChangeCounter.value + 1)
                )

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A transaction for a change of the schema, which may make an SQLite file and may take minutes."""
        with self._connected(_LONGEST_MIGRATION_S, may_make=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                for name in ("statement_timeout", "lock_timeout"):
                    connection.execute(text(f"SET LOCAL {name} = '{round(_LONGEST_MIGRATION_S)}s'"))
            yield connection

    def changes(self) -> int:
        """The number of changes so far. One indexed read: cheap enough to ask several times a second."""
        with self.reading() as connection:
            count = connection.scalar(select(ChangeCounter.value).where(ChangeCounter.id == COUNTER_ID))
        if count is None:
            raise TenantsDatabaseError(f"tenants' database {self.name}: no change counter. {MIGRATE}.")
        return count

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _connected(self, longest_s: float, *, may_make: bool = False) -> Iterator[Connection]:
        missing = None if may_make else self.missing_file
        if missing is not None:  # connecting would make an empty one
            raise TenantsDatabaseError(
                f"tenants' database {self.name}: there is no file {missing}. "
                "Restore it from a backup, or correct SLIPWAY_TENANTS_DB."
            )
        try:
            with self._alive(longest_s) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise explained(self.name, error) from error

    @contextmanager
    def _alive(self, longest_s: float) -> Iterator[Connection]:
        """A connection to a server that answers: what the pool held may be from before its restart."""
        with self._engine.connect() as connection, self._given_up(connection, longest_s) as is_given_up:
            if connection.dialect.name == "sqlite" or _answers(connection, is_given_up):
                yield connection
                return
        # All that the pool held is closed now.
        with self._engine.connect() as connection, self._given_up(connection, longest_s):
            yield connection

    @contextmanager
    def _given_up(self, connection: Connection, longest_s: float) -> Iterator[threading.Event]:
        """Break the connection off after that long: a server that is stopped holds whoever waits for ever."""
        is_given_up = threading.Event()
        twin = _twin(connection)
        if twin is None:
            yield is_given_up
            return
        with twin:
            timer = threading.Timer(longest_s, _break_off, [twin, is_given_up])
            timer.daemon = True
            timer.start()
            try:
                yield is_given_up
            except SQLAlchemyError as error:
                if not is_given_up.is_set():
                    raise
                raise TenantsDatabaseError(
                    f"tenants' database {self.name}: did not answer within {longest_s:g} s. "
                    "Check that the server is well."
                ) from error
            finally:
                timer.cancel()


def _answers(connection: Connection, is_given_up: threading.Event) -> bool:
    """Whether the server does; False where the connection was lost before it was asked anything."""
    try:
        connection.exec_driver_sql("SELECT 1")
        connection.rollback()
    except DBAPIError as error:
        if is_given_up.is_set() or not error.connection_invalidated:
            raise
        return False
    return True


def _lock(connection: Connection, name: str) -> None:
    """Wait until no other change is under way. SQLite's transaction has its lock from the beginning."""
    counter = select(ChangeCounter.value).where(ChangeCounter.id == COUNTER_ID).with_for_update()
    if connection.scalar(counter) is None:
        raise TenantsDatabaseError(f"tenants' database {name}: no change counter. {MIGRATE}.")


def _twin(connection: Connection) -> socket.socket | None:
    """Another handle on the connection's socket; None for a file, and for a connection that is closed."""
    driver: Any = connection.connection.dbapi_connection
    try:
        return socket.socket(fileno=socket.dup(driver.fileno()))
    except Exception:  # noqa: BLE001 - each driver has its own; asking by a closed one says the same again
        return None


def _break_off(twin: socket.socket, is_given_up: threading.Event) -> None:
    is_given_up.set()
    with contextlib.suppress(OSError):
        twin.shutdown(socket.SHUT_RDWR)

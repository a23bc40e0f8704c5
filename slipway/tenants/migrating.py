"""The schema's revision: bringing it to the newest, and refusing one that a later version has made.

Belongs here: asking and changing the revision. Does not: the revisions (migrations/).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table, text

from slipway.tenants import projects
from slipway.tenants.models import Organization
from slipway.tenants.transactions import Transactions
from slipway.tenants.trouble import TenantsDatabaseError

if TYPE_CHECKING:
    from alembic.config import Config

# Written down, so that a gateway need not load Alembic to see that nothing is to be done. They count up.
NEWEST = "0003"
# Any number that nothing else in the database locks; one migration runs at a time.
_POSTGRES_MIGRATION_LOCK = 5_120_370_118


def migrate(database: Transactions) -> None:
    """Bring the schema to the newest revision; harmless when it is there, and when two do it at once.

    Raises TenantsDatabaseError, also for a database that a later version has changed.
    """
    from alembic import command

    _make_directory(database)
    config = _config()
    with database.migrating() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _POSTGRES_MIGRATION_LOCK})
        revision = _revision(connection)
        if revision is not None and revision > NEWEST:
            raise TenantsDatabaseError(
                f"tenants' database {database.name}: a later version of Slipway has changed it to revision "
                f"{revision}; this one knows {NEWEST} at most. Use that version, or restore a backup."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        projects.complete_defaults(connection)


def is_behind(database: Transactions) -> bool:
    """Whether the database is of an earlier version, which `migrate` would bring up to date."""
    with database.reading() as connection:
        revision = _revision(connection)
    return revision is not None and revision < NEWEST


def is_set_up(database: Transactions) -> bool:
    """Whether the database has its tables; asks, and makes nothing."""
    if database.missing_file is not None:
        return False
    with database.reading() as connection:
        return inspect(connection).has_table(Organization.__tablename__)


def _revision(connection: Connection) -> str | None:
    """The database's own; None where there is none yet."""
    version = table("alembic_version", column("version_num"))
    if not inspect(connection).has_table(version.name):
        return None
    return connection.scalar(select(version.c.version_num))


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config


def _make_directory(database: Transactions) -> None:
    path = database.missing_file
    if path is None:
        return
    # The last directory alone: more of them is a path that was mistyped.
    if not path.parent.parent.exists():
        raise TenantsDatabaseError(
            f"tenants' database {database.name}: there is no directory {path.parent.parent}. "
            "Correct SLIPWAY_TENANTS_DB."
        )
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise TenantsDatabaseError(
            f"tenants' database {database.name}: {path.parent}: {error.strerror}. Correct SLIPWAY_TENANTS_DB."
        ) from error

"""Every question that is asked of the tenants' database, and every change that is made to it.

Belongs here: queries, each change in one transaction together with the change counter.
Does not: the tables (models.py), connecting (connection.py), holding keys in memory
(slipway.gateway.admission.auth).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Select, func, insert, inspect, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from slipway.tenants.connection import TenantsDatabaseError as TenantsDatabaseError
from slipway.tenants.connection import connect, missing_file, safe_url
from slipway.tenants.models import COUNTER_ID, ApiKey, ChangeCounter, Organization, User

SECRET_PREFIX = "sk-slipway-"  # noqa: S105 - the part that is no secret
_SECRET_BYTES = 32
_SHOWN_CHARACTERS = len(SECRET_PREFIX) + 4
# Any number that nothing else in the database locks; one migration runs at a time.
_POSTGRES_MIGRATION_LOCK = 5_120_370_118


class UnknownTenantError(LookupError):
    """An organization, user or key that does not exist."""


@dataclass(frozen=True)
class NewKey:
    """A key just made. `secret` is shown once and stored nowhere."""

    secret: str = field(repr=False)
    id: str


@dataclass(frozen=True)
class KeyRecord:
    """A key as stored. `sha256` is the raw digest of the secret's UTF-8 bytes; `prefix` is for display."""

    id: str
    org: str
    user: str
    label: str
    sha256: bytes = field(repr=False)
    prefix: str
    created_at: datetime
    revoked_at: datetime | None
    org_active: bool

    @property
    def usable(self) -> bool:
        """Whether a request may use it: not revoked, and its organization is in the catalog."""
        return self.revoked_at is None and self.org_active


@dataclass(frozen=True)
class Extent:
    """When the first organization came, how many users and keys there are, how many changes were made."""

    began_at: datetime
    users: int
    keys: int
    changes: int


class TenantsDatabase:
    """The database at one SQLAlchemy URL. Safe to share between threads; connects on first use."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine = connect(url)

    def migrate(self) -> None:
        """Bring the schema to the newest revision; harmless when it is there, and when two do it at once."""
        from alembic import command
        from alembic.config import Config

        self._make_directory()
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
        with self._transaction() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _POSTGRES_MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def sync_orgs(self, names: Iterable[str]) -> None:
        """Make the active organizations exactly these. One left out keeps its rows; its keys stop working."""
        wanted = set(names)
        with self._transaction() as connection:
            known = dict(connection.execute(select(Organization.name, Organization.active)).tuples().all())
            changed = [name for name, active in known.items() if active != (name in wanted)]
            for name in changed:
                connection.execute(
                    update(Organization).where(Organization.name == name).values(active=name in wanted)
                )
            added = sorted(wanted - known.keys())
            if added:
                now = datetime.now(UTC)
                rows = [{"name": name, "active": True, "created_at": now} for name in added]
                connection.execute(insert(Organization), rows)
            if changed or added:
                _count_change(connection)

    def orgs(self) -> list[str]:
        """Names of the active organizations, sorted."""
        query = select(Organization.name).where(Organization.active).order_by(Organization.name)
        with self._reading() as connection:
            return list(connection.scalars(query))

    @property
    def name(self) -> str:
        """Its URL for messages: the password is hidden."""
        return safe_url(self._url)

    def extent(self) -> Extent | None:
        """How far the database has come, by one query; None where no organisation ever came."""
        query = select(
            select(func.min(Organization.created_at)).scalar_subquery(),
            select(func.count()).select_from(User).scalar_subquery(),
            select(func.count()).select_from(ApiKey).scalar_subquery(),
            select(func.coalesce(func.max(ChangeCounter.value), 0)).scalar_subquery(),
        )
        with self._reading() as connection:
            began_at, users, keys, changes = connection.execute(query).one()
        return None if began_at is None else Extent(began_at, users, keys, changes)

    def is_set_up(self) -> bool:
        """Whether the database has its tables; asks, and makes nothing."""
        if missing_file(self._url) is not None:
            return False  # connecting would make an empty one
        with self._reading() as connection:
            return inspect(connection).has_table(Organization.__tablename__)

    def add_user(self, org: str, user: str) -> None:
        """Add a user to an organization; harmless when there. Raises UnknownTenantError without the org."""
        with self._transaction() as connection:
            if connection.scalar(select(Organization.name).where(Organization.name == org)) is None:
                raise UnknownTenantError(
                    f"organization {org}: not in the tenants' database. Add it to the catalog; a stack "
                    "that runs (`slipway up`) brings it within seconds. `slipway plan` shows what is missing."
                )
            if connection.scalar(_user(org, user)) is None:
                connection.execute(insert(User).values(org=org, name=user, created_at=datetime.now(UTC)))
                _count_change(connection)

    def create_key(self, org: str, user: str, label: str) -> NewKey:
        """Make a key with a secret of 256 random bits. Raises UnknownTenantError without the user."""
        secret = SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        key = NewKey(secret, f"key_{secrets.token_hex(8)}")
        with self._transaction() as connection:
            if connection.scalar(_user(org, user)) is None:
                raise UnknownTenantError(f"user {user} of {org}: not in the tenants' database. Add the user.")
            connection.execute(
                insert(ApiKey).values(
                    id=key.id,
                    org=org,
                    user=user,
                    label=label,
                    sha256=digest(secret),
                    prefix=secret[:_SHOWN_CHARACTERS],
                    created_at=datetime.now(UTC),
                )
            )
            _count_change(connection)
        return key

    def revoke_key(self, id: str) -> None:
        """Revoke a key; harmless when it is revoked. Raises UnknownTenantError when there is none."""
        with self._transaction() as connection:
            if connection.scalar(select(ApiKey.id).where(ApiKey.id == id)) is None:
                raise UnknownTenantError(
                    f"API key {id}: not in the tenants' database. List the keys to see ids."
                )
            revoked = connection.execute(
                update(ApiKey)
                .where(ApiKey.id == id, ApiKey.revoked_at.is_(None))
                .values(revoked_at=datetime.now(UTC))
            )
            if revoked.rowcount:
                _count_change(connection)

    def keys(self) -> list[KeyRecord]:
        """All keys, the revoked ones too, oldest first."""
        query = (
            select(
                ApiKey.id,
                ApiKey.org,
                ApiKey.user,
                ApiKey.label,
                ApiKey.sha256,
                ApiKey.prefix,
                ApiKey.created_at,
                ApiKey.revoked_at,
                Organization.active,
            )
            .join(Organization, Organization.name == ApiKey.org)
            .order_by(ApiKey.created_at, ApiKey.id)
        )
        with self._reading() as connection:
            return [KeyRecord(*row) for row in connection.execute(query)]

    def changes(self) -> int:
        """The number of changes so far. One indexed read: cheap enough to ask several times a second."""
        with self._reading() as connection:
            count = connection.scalar(select(ChangeCounter.value).where(ChangeCounter.id == COUNTER_ID))
        if count is None:
            raise TenantsDatabaseError(f"{safe_url(self._url)}: no change counter. Run the migrations.")
        return count

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._explained(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error)
            raise TenantsDatabaseError(
                f"tenants' database {safe_url(self._url)}: {cause}. "
                "Check SLIPWAY_TENANTS_DB, that the server is up, and that the migrations have run."
            ) from error

    def _make_directory(self) -> None:
        path = missing_file(self._url)
        if path is None:
            return
        # The last directory alone: more of them is a path that was mistyped.
        if not path.parent.parent.exists():
            raise TenantsDatabaseError(
                f"tenants' database {safe_url(self._url)}: there is no directory {path.parent.parent}. "
                "Correct SLIPWAY_TENANTS_DB."
            )
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise TenantsDatabaseError(
                f"tenants' database {safe_url(self._url)}: {path.parent}: {error.strerror}. "
                "Correct SLIPWAY_TENANTS_DB."
            ) from error


def digest(secret: str) -> bytes:
    """SHA-256 of a key's secret. A plain hash is enough: 256 random bits cannot be guessed from it."""
    return hashlib.sha256(secret.encode()).digest()


def _user(org: str, user: str) -> Select[str]:
    return select(User.name).where(User.org == org, User.name == user)


def _count_change(connection: Connection) -> None:
    connection.execute(
        update(ChangeCounter).where(ChangeCounter.id == COUNTER_ID).values(value=ChangeCounter.value + 1)
    )

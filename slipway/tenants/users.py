"""Users of an organisation: people and programs that keys belong to, with a role.

Belongs here: adding, removing, their roles. Does not: service accounts, which are a project's
(service_accounts.py).

An owner may hold admin keys. Who is an owner no more, or is removed, has none that works.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from slipway.tenants.models import AdminKey, ApiKey, User
from slipway.tenants.naming import checked_email, checked_name
from slipway.tenants.required import require_org
from slipway.tenants.transactions import Transactions
from slipway.tenants.trouble import RefusedChangeError, UnknownTenantError

OWNER, READER = "owner", "reader"
ROLES = (OWNER, READER)
SERVICE_ACCOUNT_PREFIX = "svc_acct_"


@dataclass(frozen=True)
class UserRecord:
    """A user as stored; `name` is what usage events call it."""

    org: str
    name: str
    role: str
    email: str | None
    created_at: datetime
    removed_at: datetime | None

    @property
    def id(self) -> str:
        """The same for the same organization and name, in every database."""
        return id_of(self.org, self.name)


def id_of(org: str, name: str) -> str:
    """The id of whom usage events call so: of a service account its name, which is one."""
    if name.startswith(SERVICE_ACCOUNT_PREFIX):
        return name
    return f"user_{hashlib.sha256(f'{org}/{name}'.encode()).hexdigest()[:16]}"


def add(
    database: Transactions, org: str, name: str, *, role: str | None = None, email: str | None = None
) -> UserRecord:
    """Add a user, as a reader unless told otherwise; of one that is there, set what is given.

    Raises UnknownTenantError without the org, RefusedChangeError.
    """
    checked_name("name", name)
    if name.startswith(SERVICE_ACCOUNT_PREFIX):
        raise RefusedChangeError(
            f"name = {name}: begins with {SERVICE_ACCOUNT_PREFIX}, as ids of service accounts do. "
            "Use another name.",
            field="name",
        )
    given = {name: value for name, value in (("role", role), ("email", checked_email(email))) if value}
    _check_role(role or READER)
    with database.changing() as change:
        require_org(change.connection, org)
        there = change.connection.execute(_users(org, removed=True).where(User.name == name)).one_or_none()
        if there is None:
            values: dict[str, Any] = {"role": READER, "created_at": datetime.now(UTC), **given}
            change.connection.execute(insert(User).values(org=org, name=name, **values))
            change.made()
        elif (known := UserRecord(*there)).removed_at is not None:
            _set(change.connection, known, role=READER, **given, removed_at=None)
            change.made()
        elif any(getattr(known, field) != value for field, value in given.items()):
            _set(change.connection, known, **given)
            change.made()
        return _named(change.connection, org, name)


def all_of(database: Transactions, org: str, *, removed: bool = False) -> list[UserRecord]:
    """The users of an organization that were not removed (or all), oldest first."""
    with database.reading() as connection:
        return _all(connection, org, removed=removed)


def one(database: Transactions, org: str, id: str) -> UserRecord:
    """One user by id. Raises UnknownTenantError."""
    with database.reading() as connection:
        return _one(connection, org, id)


def set_role(database: Transactions, org: str, id: str, role: str) -> UserRecord:
    """Make a user an owner or a reader; a reader's admin keys are revoked.

    Raises UnknownTenantError, RefusedChangeError.
    """
    _check_role(role)
    with database.changing() as change:
        user = _one(change.connection, org, id)
        if user.role != role:
            _set(change.connection, user, role=role)
            if role != OWNER:
                revoke_keys(change.connection, AdminKey, org, user.name, datetime.now(UTC))
            change.made()
        return _one(change.connection, org, id)


def remove(database: Transactions, org: str, id: str) -> UserRecord:
    """Remove a user and revoke all its keys; its usage keeps its name. Raises UnknownTenantError."""
    with database.changing() as change:
        user = _one(change.connection, org, id)
        now = datetime.now(UTC)
        _set(change.connection, user, removed_at=now)
        for keys in (ApiKey, AdminKey):
            revoke_keys(change.connection, keys, org, user.name, now)
        change.made()
    return user


def revoke_keys(
    connection: Connection, keys: type[ApiKey] | type[AdminKey], org: str, owner: str, now: datetime
) -> None:
    """Revoke all keys of one kind of a user or service account."""
    connection.execute(
        update(keys)
        .where(keys.org == org, keys.user == owner, keys.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise RefusedChangeError(f"role = {role!r}: use owner or reader.", field="role")


def _set(connection: Connection, user: UserRecord, **values: Any) -> None:
    connection.execute(update(User).where(User.org == user.org, User.name == user.name).values(**values))


def _named(connection: Connection, org: str, name: str) -> UserRecord:
    return UserRecord(*connection.execute(_users(org).where(User.name == name)).one())


def _one(connection: Connection, org: str, id: str) -> UserRecord:
    for user in _all(connection, org):
        if user.id == id:
            return user
    raise UnknownTenantError(f"user {id} of {org}: not in the tenants' database. List the users.")


def _all(connection: Connection, org: str, *, removed: bool = False) -> list[UserRecord]:
    query = _users(org, removed=removed).order_by(User.created_at, User.name)
    return [UserRecord(*row) for row in connection.execute(query)]


def _users(org: str, *, removed: bool = False) -> Select[*tuple[Any, ...]]:
    query = select(User.org, User.name, User.role, User.email, User.created_at, User.removed_at).where(
        User.org == org, User.project.is_(None)
    )
    return query if removed else query.where(User.removed_at.is_(None))

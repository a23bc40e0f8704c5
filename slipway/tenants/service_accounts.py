"""Service accounts: what keys of programs belong to, each of one project.

Belongs here: making, changing, removing them. Does not: their keys (keys.py).

In the database a service account is a user whose name is its id, so that usage events, limits per user and
prefix caches treat it as one: its id is the event's `user`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from slipway.tenants import keys, projects
from slipway.tenants.models import ApiKey, User
from slipway.tenants.naming import checked_name
from slipway.tenants.secret import NewKey
from slipway.tenants.transactions import Transactions
from slipway.tenants.trouble import RefusedChangeError, UnknownTenantError
from slipway.tenants.users import SERVICE_ACCOUNT_PREFIX, revoke_keys

ROLES = ("owner", "member", "none")


@dataclass(frozen=True)
class ServiceAccountRecord:
    """A service account as stored; `id` is what usage events call it, `name` what people do."""

    id: str
    org: str
    project: str
    name: str
    role: str
    created_at: datetime
    removed_at: datetime | None = None


def create(
    database: Transactions, org: str, project: str, name: str, *, role: str = "member"
) -> ServiceAccountRecord:
    """Make a service account of a project. Raises UnknownTenantError, RefusedChangeError."""
    with database.changing() as changing:
        account = _insert(changing.connection, org, project, name, role)
        changing.made()
    return account


def create_with_key(
    database: Transactions, org: str, project: str, name: str, *, expires_at: datetime | None = None
) -> tuple[ServiceAccountRecord, NewKey]:
    """Make a service account and a key of it with its name, both or neither.

    Raises UnknownTenantError, RefusedChangeError.
    """
    with database.changing() as changing:
        account = _insert(changing.connection, org, project, name, "member")
        key = keys.insert_of(changing.connection, org, account.id, project, name, expires_at)
        changing.made()
    return account, key


def all_of(
    database: Transactions, org: str, project: str, *, removed: bool = False
) -> list[ServiceAccountRecord]:
    """The service accounts of a project that were not removed (or all), oldest first.

    Raises UnknownTenantError.
    """
    projects.one(database, org, project)
    query = _accounts(org, project, removed=removed).order_by(User.created_at, User.name)
    with database.reading() as connection:
        return [ServiceAccountRecord(*row) for row in connection.execute(query)]


def one(database: Transactions, org: str, project: str, id: str) -> ServiceAccountRecord:
    """One service account. Raises UnknownTenantError."""
    with database.reading() as connection:
        return _one(connection, org, project, id)


def change(
    database: Transactions,
    org: str,
    project: str,
    id: str,
    *,
    name: str | None = None,
    role: str | None = None,
) -> ServiceAccountRecord:
    """Change what is given. Raises UnknownTenantError, RefusedChangeError."""
    values: dict[str, Any] = {}
    if name is not None:
        values["title"] = checked_name("name", name)
    if role is not None:
        _check_role(role)
        values["role"] = role
    with database.changing() as changing:
        projects.require_active(changing.connection, org, project)
        _one(changing.connection, org, project, id)
        if values:
            _set(changing.connection, org, id, values)
            changing.made()
        return _one(changing.connection, org, project, id)


def remove(database: Transactions, org: str, project: str, id: str) -> ServiceAccountRecord:
    """Remove a service account and revoke its keys. Raises UnknownTenantError."""
    now = datetime.now(UTC)
    with database.changing() as changing:
        account = _one(changing.connection, org, project, id)
        _set(changing.connection, org, id, {"removed_at": now})
        revoke_keys(changing.connection, ApiKey, org, id, now)
        changing.made()
    return account


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise RefusedChangeError(f"role = {role!r}: use owner, member or none.", field="role")


def _set(connection: Connection, org: str, id: str, values: dict[str, Any]) -> None:
    connection.execute(update(User).where(User.org == org, User.name == id).values(**values))


def _one(connection: Connection, org: str, project: str, id: str) -> ServiceAccountRecord:
    row = connection.execute(_accounts(org, project).where(User.name == id)).one_or_none()
    if row is None:
        raise UnknownTenantError(
            f"service account {id} of project {project}: not in the tenants' database. "
            "List the service accounts."
        )
    return ServiceAccountRecord(*row)


def _insert(connection: Connection, org: str, project: str, name: str, role: str) -> ServiceAccountRecord:
    checked_name("name", name)
    _check_role(role)
    id, now = SERVICE_ACCOUNT_PREFIX + secrets.token_hex(12), datetime.now(UTC)
    projects.require_active(connection, org, project)
    connection.execute(
        insert(User).values(org=org, name=id, project=project, title=name, role=role, created_at=now)
    )
    return ServiceAccountRecord(id, org, project, name, role, now)


def _accounts(org: str, project: str, *, removed: bool = False) -> Select[*tuple[Any, ...]]:
    query = select(
        User.name, User.org, User.project, User.title, User.role, User.created_at, User.removed_at
    ).where(User.org == org, User.project == project)
    return query if removed else query.where(User.removed_at.is_(None))

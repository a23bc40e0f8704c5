"""Admin keys: with one an owner manages its organisation, and nothing else.

Belongs here: queries and changes of admin keys. Does not: what they open, which is the gateway's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, or_, select, update

from slipway.tenants.models import AdminKey, Organization
from slipway.tenants.naming import CLOCKS_APART, checked_expiry, checked_text
from slipway.tenants.required import require_owner
from slipway.tenants.secret import ADMIN_SECRET_PREFIX, KeyStanding, NewKey
from slipway.tenants.transactions import Transactions
from slipway.tenants.trouble import RefusedChangeError, UnknownTenantError
from slipway.tenants.users import OWNER


@dataclass(frozen=True)
class AdminKeyRecord(KeyStanding):
    """An admin key as stored; of its secret only the digest and a few characters for display."""

    id: str
    org: str
    user: str
    label: str
    sha256: bytes = field(repr=False)
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    org_active: bool
    last_used_at: datetime | None = None


def create(
    database: Transactions, org: str, user: str, label: str, *, expires_at: datetime | None = None
) -> NewKey:
    """Make an admin key of an owner. Raises UnknownTenantError, RefusedChangeError."""
    now = datetime.now(UTC)
    checked_text("name", label)
    checked_expiry(expires_at, now)
    key = NewKey.make(ADMIN_SECRET_PREFIX, now, expires_at)
    with database.changing() as change:
        owner = require_owner(change.connection, org, user)
        if owner.project is not None or owner.role != OWNER:
            raise RefusedChangeError(f"user {user} of {org} is no owner. Make it one first.", field="user")
        values = {"org": org, "user": user, "label": label}
        change.connection.execute(insert(AdminKey).values(**key.kept(ADMIN_SECRET_PREFIX), **values))
        change.made()
    return key


def revoke(database: Transactions, id: str, *, org: str | None = None) -> None:
    """Revoke an admin key; harmless when it is revoked. Raises UnknownTenantError."""
    with database.changing() as change:
        if _one(change.connection, id, org).revoked_at is None:
            revoked = update(AdminKey).where(AdminKey.id == id).values(revoked_at=datetime.now(UTC))
            change.connection.execute(revoked)
            change.made()


def everyone(database: Transactions) -> list[AdminKeyRecord]:
    """All admin keys of all organizations, the revoked ones too, oldest first."""
    with database.reading() as connection:
        return [AdminKeyRecord(*row) for row in connection.execute(_keys())]


def usable(database: Transactions) -> list[AdminKeyRecord]:
    """The admin keys of all organizations that open something now, as `keys.usable` says."""
    expired = datetime.now(UTC) - CLOCKS_APART
    query = _keys().where(
        AdminKey.revoked_at.is_(None),
        Organization.active,
        or_(AdminKey.expires_at.is_(None), AdminKey.expires_at > expired),
    )
    with database.reading() as connection:
        return [AdminKeyRecord(*row) for row in connection.execute(query)]


def all_of(database: Transactions, org: str) -> list[AdminKeyRecord]:
    """The admin keys of an organization, the revoked ones too, oldest first."""
    with database.reading() as connection:
        return [AdminKeyRecord(*row) for row in connection.execute(_keys().where(AdminKey.org == org))]


def one(database: Transactions, id: str, *, org: str) -> AdminKeyRecord:
    """One admin key, a revoked one too. Raises UnknownTenantError."""
    with database.reading() as connection:
        return _one(connection, id, org)


def _one(connection: Connection, id: str, org: str | None) -> AdminKeyRecord:
    row = connection.execute(_keys().where(AdminKey.id == id)).one_or_none()
    if row is None or org not in (None, row.org):
        raise UnknownTenantError(f"admin key {id}: not in the tenants' database. List the admin keys.")
    return AdminKeyRecord(*row)


def _keys() -> Select[*tuple[Any, ...]]:
    return (
        select(
            AdminKey.id,
            AdminKey.org,
            AdminKey.user,
            AdminKey.label,
            AdminKey.sha256,
            AdminKey.prefix,
            AdminKey.created_at,
            AdminKey.expires_at,
            AdminKey.revoked_at,
            Organization.active,
            AdminKey.last_used_at,
        )
        .join(Organization, Organization.name == AdminKey.org)
        .order_by(AdminKey.created_at, AdminKey.id)
    )

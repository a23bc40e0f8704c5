"""API keys: made, listed, rotated, revoked; whose they are, until when they work, and for what.

Belongs here: queries and changes of API keys. Does not: secrets (secret.py), admin keys (admin_keys.py), a
request's key (slipway.gateway.admission.auth).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Select, insert, or_, select, update

from slipway.tenants import projects
from slipway.tenants.models import ApiKey, Organization
from slipway.tenants.naming import CLOCKS_APART, checked_expiry, checked_text
from slipway.tenants.projects import RateLimitRecord
from slipway.tenants.required import require_owner
from slipway.tenants.secret import SECRET_PREFIX, KeyStanding, NewKey
from slipway.tenants.transactions import Transactions
from slipway.tenants.trouble import RefusedChangeError, UnknownTenantError

# Where they are among a key's columns.
_ORG, _PROJECT = 1, 9
_NO_LIMITS: Mapping[str, RateLimitRecord] = MappingProxyType({})


@dataclass(frozen=True)
class KeyRecord(KeyStanding):
    """A key as stored. `sha256` is the raw digest of the secret's UTF-8 bytes; `prefix` is for display.

    `deployments` and `tasks` are what it may be used for, None for all; `project_limits` are its project's,
    by model.
    """

    id: str
    org: str
    user: str
    label: str
    sha256: bytes = field(repr=False)
    prefix: str
    created_at: datetime
    revoked_at: datetime | None
    org_active: bool
    project: str = ""
    expires_at: datetime | None = None
    deployments: frozenset[str] | None = None
    tasks: frozenset[str] | None = None
    last_used_at: datetime | None = None
    project_limits: Mapping[str, RateLimitRecord] = field(default_factory=lambda: _NO_LIMITS, repr=False)


def create(
    database: Transactions,
    org: str,
    user: str,
    label: str,
    *,
    project: str | None = None,
    expires_at: datetime | None = None,
    deployments: Iterable[str] | None = None,
    tasks: Iterable[str] | None = None,
) -> NewKey:
    """Make a key of a user or service account, in the default project or the service account's.

    Raises UnknownTenantError, RefusedChangeError.
    """
    now = datetime.now(UTC)
    new = NewKey.make(SECRET_PREFIX, now, checked_expiry(expires_at, now))
    values: dict[str, Any] = {
        "label": checked_text("name", label),
        "deployments": _restriction("deployments", deployments),
        "tasks": _restriction("tasks", tasks),
    }
    with database.changing() as change:
        owner = require_owner(change.connection, org, user)
        if owner.project is not None and project not in (None, owner.project):
            raise RefusedChangeError(f"service account {user} is not of project {project}.", field="project")
        within = projects.require_or_default(change.connection, org, owner.project or project)
        values |= {"org": org, "user": user, "project": within.id}
        _insert(change.connection, values, new)
        change.made()
    return new


def insert_of(
    connection: Connection, org: str, owner: str, project: str, label: str, expires_at: datetime | None
) -> NewKey:
    """A key of who was made within the same change. Raises RefusedChangeError."""
    now = datetime.now(UTC)
    new = NewKey.make(SECRET_PREFIX, now, checked_expiry(expires_at, now))
    label = checked_text("name", label)
    _insert(connection, {"org": org, "user": owner, "project": project, "label": label}, new)
    return new


def rotate(
    database: Transactions,
    id: str,
    *,
    org: str | None = None,
    grace: timedelta = timedelta(0),
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key with the same rights, which expires when told or with the old one; the old one stops.

    The old one stops at once, or expires after the grace. Raises UnknownTenantError, and RefusedChangeError
    for a key that does not work any more.
    """
    now = datetime.now(UTC)
    checked_expiry(expires_at, now)
    with database.changing() as change:
        old = _one(change.connection, id, org)
        if old.revoked_at is not None or old.is_expired(now):
            state = "revoked" if old.revoked_at is not None else "expired"
            raise RefusedChangeError(
                f"API key {id} is {state}, so it has no rights to pass on. Make a new key."
            )
        projects.require_or_default(change.connection, old.org, old.project or None)
        names = ("org", "user", "label", "project", "deployments", "tasks")
        values = {name: getattr(old, name) for name in names}
        key = NewKey.make(SECRET_PREFIX, now, expires_at or old.expires_at)
        _insert(change.connection, values, key)
        if grace > timedelta(0):
            ends = min(now + grace, old.expires_at or datetime.max.replace(tzinfo=UTC))
            _set(change.connection, id, expires_at=ends)
        else:
            _set(change.connection, id, revoked_at=now)
        change.made()
    return key


def revoke(database: Transactions, id: str, *, org: str | None = None, project: str | None = None) -> None:
    """Revoke a key; harmless when it is revoked. Raises UnknownTenantError when there is none.

    With an organization, one of another is unknown; and so with a project.
    """
    with database.changing() as change:
        key = _one(change.connection, id, org, project)
        if key.revoked_at is None:
            _set(change.connection, id, revoked_at=datetime.now(UTC))
            change.made()


def set_expiry(
    database: Transactions, id: str, expires_at: datetime, *, org: str, project: str | None = None
) -> KeyRecord:
    """Let a key that works expire at another instant. Raises UnknownTenantError, RefusedChangeError."""
    now = datetime.now(UTC)
    checked_expiry(expires_at, now)
    with database.changing() as change:
        key = _one(change.connection, id, org, project)
        if key.revoked_at is not None or key.is_expired(now):
            raise RefusedChangeError(f"API key {id} does not work any more. Make a new key.")
        _set(change.connection, id, expires_at=expires_at)
        change.made()
        return _one(change.connection, id, org, project)


def everyone(database: Transactions) -> list[KeyRecord]:
    """All keys of all organizations, the revoked ones too, oldest first, with their projects' limits."""
    limits = projects.all_limits(database)
    with database.reading() as connection:
        return _read(connection, _keys(), limits)


def usable(database: Transactions) -> list[KeyRecord]:
    """The keys of all organizations that a request may use now, with their projects' limits.

    One that expired a short while ago is among them: whose clock is behind decides by its own.
    """
    limits = projects.all_limits(database)
    expired = datetime.now(UTC) - CLOCKS_APART
    query = _keys().where(
        ApiKey.revoked_at.is_(None),
        Organization.active,
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > expired),
    )
    with database.reading() as connection:
        return _read(connection, query, limits)


def all_of(database: Transactions, org: str, project: str | None = None) -> list[KeyRecord]:
    """The keys of an organization or one project, the revoked ones too, oldest first.

    Raises UnknownTenantError for a project that there is not.
    """
    if project is not None:
        projects.one(database, org, project)
    with database.reading() as connection:
        found = _read(connection, _keys().where(ApiKey.org == org), {})
    return [key for key in found if project in (None, key.project)]


def one(database: Transactions, id: str, *, org: str, project: str | None = None) -> KeyRecord:
    """One key, a revoked one too. Raises UnknownTenantError."""
    with database.reading() as connection:
        return _one(connection, id, org, project)


def _insert(connection: Connection, values: Mapping[str, Any], key: NewKey) -> None:
    connection.execute(insert(ApiKey).values(**key.kept(SECRET_PREFIX), **values))


def _set(connection: Connection, id: str, **values: Any) -> None:
    connection.execute(update(ApiKey).where(ApiKey.id == id).values(**values))


def _one(connection: Connection, id: str, org: str | None, project: str | None = None) -> KeyRecord:
    found = _read(connection, _keys().where(ApiKey.id == id), {})
    if not found or org not in (None, found[0].org) or project not in (None, found[0].project):
        raise UnknownTenantError(f"API key {id}: not in the tenants' database. List the keys to see ids.")
    return found[0]


def _read(
    connection: Connection,
    query: Select[*tuple[Any, ...]],
    limits: Mapping[str, Mapping[str, RateLimitRecord]],
) -> list[KeyRecord]:
    defaults = projects.default_ids(connection)
    records = []
    for row in connection.execute(query):
        project: str = row[_PROJECT] or defaults.get(row[_ORG], "")
        its_limits = limits.get(project, _NO_LIMITS)
        fields: tuple[Any, ...] = (*row[:_PROJECT], project, *row[_PROJECT + 1 :], its_limits)
        records.append(KeyRecord(*fields))
    return records


def _keys() -> Select[*tuple[Any, ...]]:
    return (
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
            ApiKey.project,
            ApiKey.expires_at,
            ApiKey.deployments,
            ApiKey.tasks,
            ApiKey.last_used_at,
        )
        .join(Organization, Organization.name == ApiKey.org)
        .order_by(ApiKey.created_at, ApiKey.id)
    )


def _restriction(field: str, names: Iterable[str] | None) -> frozenset[str] | None:
    """The names; a restriction to nothing is a mistake."""
    if names is None:
        return None
    kept = frozenset(checked_text(field, name) for name in names)
    if not kept or "" in kept:
        raise RefusedChangeError(
            f"{field} names nothing, so the key could not be used. Name one.", field=field
        )
    return kept

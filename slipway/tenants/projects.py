"""Projects of an organisation, and what each may ask of a model per minute.

Belongs here: making, renaming and archiving projects; their rate limits.
Does not: keys in them (keys.py), their service accounts (service_accounts.py), counting against a limit
(slipway.gateway.admission).

Nothing is asked or changed without saying whose: the id of another organisation's project is unknown.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from slipway.tenants.models import ApiKey, Organization, Project, ProjectRateLimit
from slipway.tenants.naming import checked_name
from slipway.tenants.required import require_org
from slipway.tenants.transactions import Transactions
from slipway.tenants.trouble import MIGRATE, RefusedChangeError, UnknownTenantError

DEFAULT_NAME = "Default project"
_MOST_PER_MINUTE = 10**15


@dataclass(frozen=True)
class ProjectRecord:
    """A project as stored. An archived one has no keys that work, and changes no more."""

    id: str
    org: str
    name: str
    is_default: bool
    created_at: datetime
    archived_at: datetime | None

    @property
    def is_active(self) -> bool:
        """Whether it is not archived."""
        return self.archived_at is None


@dataclass(frozen=True, slots=True)
class RateLimitRecord:
    """What a project may ask of one model, by the name in requests; None: as much as the operator allows."""

    model: str
    requests_per_minute: int | None
    tokens_per_minute: int | None


def create(database: Transactions, org: str, name: str) -> ProjectRecord:
    """Make a project. Raises UnknownTenantError, RefusedChangeError."""
    record = ProjectRecord(_new_id(), org, checked_name("name", name), False, datetime.now(UTC), None)
    with database.changing() as change:
        require_org(change.connection, org)
        change.connection.execute(insert(Project).values(**vars(record)))
        change.made()
    return record


def all_of(database: Transactions, org: str) -> list[ProjectRecord]:
    """All projects of an organization, the archived ones too, oldest first."""
    query = _projects(org).order_by(Project.created_at, Project.id)
    with database.reading() as connection:
        return [ProjectRecord(*row) for row in connection.execute(query)]


def one(database: Transactions, org: str, id: str) -> ProjectRecord:
    """One project, an archived one too. Raises UnknownTenantError."""
    with database.reading() as connection:
        return _one(connection, org, id)


def default(database: Transactions, org: str) -> ProjectRecord:
    """The project of keys that name none. Raises UnknownTenantError without the organization."""
    with database.reading() as connection:
        return _default(connection, org)


def rename(database: Transactions, org: str, id: str, name: str) -> ProjectRecord:
    """Give a project another name. Raises UnknownTenantError, RefusedChangeError."""
    name = checked_name("name", name)
    with database.changing() as change:
        require_active(change.connection, org, id)
        change.connection.execute(update(Project).where(Project.id == id).values(name=name))
        change.made()
        return _one(change.connection, org, id)


def archive(database: Transactions, org: str, id: str) -> ProjectRecord:
    """Archive a project and revoke its keys; harmless when it is archived. There is no way back.

    Raises UnknownTenantError, and RefusedChangeError for the default project.
    """
    with database.changing() as change:
        project = _one(change.connection, org, id)
        if project.is_default:
            raise RefusedChangeError(f"project {id} is the default of {org}, which cannot be archived.")
        if project.is_active:
            now = datetime.now(UTC)
            change.connection.execute(update(Project).where(Project.id == id).values(archived_at=now))
            change.connection.execute(
                update(ApiKey).where(ApiKey.project == id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
            )
            change.made()
        return _one(change.connection, org, id)


def limits_of(database: Transactions, org: str, id: str) -> list[RateLimitRecord]:
    """The rate limits that a project has, by model. Raises UnknownTenantError."""
    with database.reading() as connection:
        _one(connection, org, id)
        query = _limits().where(ProjectRateLimit.project == id).order_by(ProjectRateLimit.model)
        return [RateLimitRecord(*row[1:]) for row in connection.execute(query)]


def set_limit(database: Transactions, org: str, id: str, limit: RateLimitRecord) -> RateLimitRecord:
    """Replace what a project may ask of a model; one that limits nothing is forgotten.

    Raises UnknownTenantError, RefusedChangeError.
    """
    _check_limit(limit)
    with database.changing() as change:
        require_active(change.connection, org, id)
        _replace_limit(change.connection, id, limit)
        change.made()
    return limit


def change_limit(
    database: Transactions,
    org: str,
    id: str,
    model: str,
    *,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> RateLimitRecord:
    """Change what is given of what a project may ask of a model; the other number stays.

    Raises UnknownTenantError, RefusedChangeError.
    """
    with database.changing() as change:
        require_active(change.connection, org, id)
        known = _limits().where(ProjectRateLimit.project == id, ProjectRateLimit.model == model)
        row = change.connection.execute(known).one_or_none()
        limit = RateLimitRecord(model, None, None) if row is None else RateLimitRecord(*row[1:])
        changed = RateLimitRecord(
            model,
            limit.requests_per_minute if requests_per_minute is None else requests_per_minute,
            limit.tokens_per_minute if tokens_per_minute is None else tokens_per_minute,
        )
        _check_limit(changed)
        if changed != limit:
            _replace_limit(change.connection, id, changed)
            change.made()
    return changed


def _check_limit(limit: RateLimitRecord) -> None:
    checked_name("model", limit.model)
    for field in ("requests_per_minute", "tokens_per_minute"):
        number = getattr(limit, field)
        if number is not None and not 0 <= number <= _MOST_PER_MINUTE:
            raise RefusedChangeError(f"{field} = {number}: use 0 to {_MOST_PER_MINUTE}.", field=field)


def _replace_limit(connection: Connection, project: str, limit: RateLimitRecord) -> None:
    connection.execute(
        delete(ProjectRateLimit).where(
            ProjectRateLimit.project == project, ProjectRateLimit.model == limit.model
        )
    )
    if limit.requests_per_minute is not None or limit.tokens_per_minute is not None:
        values: dict[str, Any] = {
            "model": limit.model,
            "requests_per_minute": limit.requests_per_minute,
            "tokens_per_minute": limit.tokens_per_minute,
        }
        connection.execute(insert(ProjectRateLimit).values(project=project, **values))


def all_limits(database: Transactions) -> dict[str, dict[str, RateLimitRecord]]:
    """The rate limits of all projects of all organizations, by project and model."""
    limits: dict[str, dict[str, RateLimitRecord]] = {}
    with database.reading() as connection:
        for project, *row in connection.execute(_limits()):
            limit = RateLimitRecord(*row)
            limits.setdefault(project, {})[limit.model] = limit
    return limits


def require_active(connection: Connection, org: str, id: str) -> ProjectRecord:
    """The project, to change something in it. Raises UnknownTenantError, RefusedChangeError."""
    project = _one(connection, org, id)
    if not project.is_active:
        raise RefusedChangeError(f"project {id} is archived. Use another project.", field="project")
    return project


def default_ids(connection: Connection) -> dict[str, str]:
    """The id of each organization's default project."""
    query = select(Project.org, Project.id).where(Project.is_default)
    return dict(connection.execute(query).tuples().all())


def require_or_default(connection: Connection, org: str, id: str | None) -> ProjectRecord:
    """The active project of that id, or the organization's default. As `require_active`."""
    return _default(connection, org) if id is None else require_active(connection, org, id)


def complete_defaults(connection: Connection) -> bool:
    """Give each organization that has none its default project; returns whether any was missing.

    A version before projects brings organizations without.
    """
    lacking = (
        select(Organization.name, Organization.created_at)
        .outerjoin(Project, (Project.org == Organization.name) & Project.is_default)
        .where(Project.id.is_(None))
    )
    rows = connection.execute(lacking).all()
    for org, created_at in rows:
        values = {"id": _new_id(), "org": org, "name": DEFAULT_NAME, "created_at": created_at}
        connection.execute(insert(Project).values(**values, is_default=True))
    return bool(rows)


def _default(connection: Connection, org: str) -> ProjectRecord:
    require_org(connection, org)
    row = connection.execute(_projects(org).where(Project.is_default)).one_or_none()
    if row is None:
        raise UnknownTenantError(f"organization {org}: has no default project. {MIGRATE}.")
    return ProjectRecord(*row)


def _one(connection: Connection, org: str, id: str) -> ProjectRecord:
    row = connection.execute(_projects(org).where(Project.id == id)).one_or_none()
    if row is None:
        raise UnknownTenantError(f"project {id} of {org}: not in the tenants' database. List the projects.")
    return ProjectRecord(*row)


def _projects(org: str) -> Select[*tuple[Any, ...]]:
    return select(
        Project.id, Project.org, Project.name, Project.is_default, Project.created_at, Project.archived_at
    ).where(Project.org == org)


def _limits() -> Select[*tuple[Any, ...]]:
    return select(
        ProjectRateLimit.project,
        ProjectRateLimit.model,
        ProjectRateLimit.requests_per_minute,
        ProjectRateLimit.tokens_per_minute,
    )


def _new_id() -> str:
    return f"proj_{secrets.token_hex(8)}"

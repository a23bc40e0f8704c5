"""What must be there before something is changed: an organisation, a user.

Belongs here: looking it up within a change, and saying what is missing. Does not: the change.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from slipway.tenants.models import Organization, User
from slipway.tenants.trouble import UnknownTenantError


@dataclass(frozen=True)
class Owner:
    """Whom a key belongs to: a user, or a service account of `project`."""

    name: str
    role: str
    project: str | None


def require_org(connection: Connection, org: str) -> None:
    """Raise UnknownTenantError unless the organization is there."""
    if connection.scalar(select(Organization.name).where(Organization.name == org)) is None:
        raise UnknownTenantError(
            f"organization {org}: not in the tenants' database. Add it to the catalog; a stack "
            "that runs (`slipway up`) brings it within seconds. `slipway plan` shows what is missing."
        )


def require_owner(connection: Connection, org: str, name: str) -> Owner:
    """A user or service account that has not been removed. Raises UnknownTenantError."""
    row = connection.execute(
        select(User.name, User.role, User.project).where(
            User.org == org, User.name == name, User.removed_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise UnknownTenantError(f"user {name} of {org}: not in the tenants' database. Add the user.")
    return Owner(*row)

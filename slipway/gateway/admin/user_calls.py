"""Users of the organization, and of its projects: each user of the organization belongs to all of them.

Belongs here: handlers, a user as OpenAI writes it. Does not: service accounts (service_account_calls.py).
"""

from __future__ import annotations

from typing import Any

from slipway.gateway.admin import refusals
from slipway.gateway.admin.asked import Asked, epoch
from slipway.gateway.admin.paging import Listing, cursor_of
from slipway.gateway.api.parameters import LONGEST_NAME, bad_parameter
from slipway.tenants import projects, users
from slipway.tenants.users import UserRecord

_NO_MEMBERSHIP = "every user of an organization belongs to all of its projects"
_NOT_KEPT = ("developer_persona", "technical_level", "role_id")


def listed(asked: Asked) -> dict[str, Any]:
    """GET users."""
    cursor = cursor_of(asked.parameters)
    emails = asked.parameters.texts("emails")
    everyone = users.all_of(asked.database, asked.org, removed=True)
    listing = Listing(
        everyone,
        lambda user: user.id,
        lambda user: user.removed_at is None and (emails is None or user.email in emails),
    )
    return listing.page(cursor, _written)


def retrieve(asked: Asked) -> dict[str, Any]:
    """GET users/*."""
    return _written(users.one(asked.database, asked.org, asked.ids[0]))


def update(asked: Asked) -> dict[str, Any]:
    """POST users/*."""
    fields = asked.fields("role", *_NOT_KEPT)
    for field in _NOT_KEPT:
        if field in fields:
            raise bad_parameter(field, "Users have none here. Leave it out.")
    role = fields.text("role", LONGEST_NAME)
    if role is None:
        return retrieve(asked)
    return _written(users.set_role(asked.database, asked.org, asked.ids[0], role))


def delete(asked: Asked) -> dict[str, Any]:
    """DELETE users/*."""
    user = users.remove(asked.database, asked.org, asked.ids[0])
    return {"id": user.id, "object": "organization.user.deleted", "deleted": True}


def listed_of_project(asked: Asked) -> dict[str, Any]:
    """GET projects/*/users."""
    cursor = cursor_of(asked.parameters)
    projects.one(asked.database, asked.org, asked.ids[0])
    everyone = users.all_of(asked.database, asked.org, removed=True)
    return Listing(everyone, lambda user: user.id, lambda user: user.removed_at is None).page(
        cursor, _of_project
    )


def retrieve_of_project(asked: Asked) -> dict[str, Any]:
    """GET projects/*/users/*."""
    project, user = asked.ids
    projects.one(asked.database, asked.org, project)
    return _of_project(users.one(asked.database, asked.org, user))


def refuse_of_project(asked: Asked) -> dict[str, Any]:
    """Any change of a project's users."""
    raise refusals.unsupported("Users of one project", _NO_MEMBERSHIP)


def _written(user: UserRecord) -> dict[str, Any]:
    return {
        "id": user.id,
        "object": "organization.user",
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "added_at": epoch(user.created_at),
        "is_service_account": False,
    }


def _of_project(user: UserRecord) -> dict[str, Any]:
    return {
        "id": user.id,
        "object": "organization.project.user",
        "name": user.name,
        "email": user.email,
        "role": "member",
        "added_at": epoch(user.created_at),
    }

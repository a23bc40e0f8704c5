"""Projects: made, renamed, archived.

Belongs here: handlers, and a project as OpenAI writes it. Does not: what is in a project.
"""

from __future__ import annotations

from typing import Any

from slipway.gateway.admin.asked import Asked, epoch
from slipway.gateway.admin.paging import Listing, cursor_of
from slipway.gateway.api.parameters import LONGEST_NAME, Fields, bad_parameter, required
from slipway.tenants import projects
from slipway.tenants.projects import ProjectRecord

_ELSEWHERE = ("external_key_id", "geography", "residency")


def create(asked: Asked) -> dict[str, Any]:
    """POST projects."""
    fields = asked.fields("name", *_ELSEWHERE)
    _refuse_elsewhere(fields)
    name = required(fields.text("name", LONGEST_NAME), "name")
    return written(projects.create(asked.database, asked.org, name))


def listed(asked: Asked) -> dict[str, Any]:
    """GET projects."""
    cursor = cursor_of(asked.parameters)
    everything = asked.parameters.flag("include_archived") or False
    of_org = projects.all_of(asked.database, asked.org)
    listing = Listing(of_org, lambda project: project.id, lambda project: everything or project.is_active)
    return listing.page(cursor, written)


def retrieve(asked: Asked) -> dict[str, Any]:
    """GET projects/*."""
    return written(projects.one(asked.database, asked.org, asked.ids[0]))


def update(asked: Asked) -> dict[str, Any]:
    """POST projects/*."""
    fields = asked.fields("name", *_ELSEWHERE)
    _refuse_elsewhere(fields)
    name = fields.text("name", LONGEST_NAME)
    if name is None:
        return retrieve(asked)
    return written(projects.rename(asked.database, asked.org, asked.ids[0], name))


def archive(asked: Asked) -> dict[str, Any]:
    """POST projects/*/archive."""
    return written(projects.archive(asked.database, asked.org, asked.ids[0]))


def written(project: ProjectRecord) -> dict[str, Any]:
    """As OpenAI writes it."""
    return {
        "id": project.id,
        "object": "organization.project",
        "name": project.name,
        "created_at": epoch(project.created_at),
        "archived_at": epoch(project.archived_at),
        "status": "active" if project.is_active else "archived",
    }


def _refuse_elsewhere(fields: Fields) -> None:
    for field in _ELSEWHERE:
        if field in fields:
            raise bad_parameter(field, "Projects have none here. Leave it out.")

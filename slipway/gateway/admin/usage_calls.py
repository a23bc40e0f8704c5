"""Usage and costs: what a question is answered with.

Belongs here: handlers. Does not: questions, reading and results (slipway.gateway.admin.usage).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from slipway.gateway.admin.asked import Asked, Handler
from slipway.gateway.admin.usage import question, results
from slipway.gateway.admin.usage.kinds import KINDS, Kind
from slipway.tenants import keys


def handlers() -> dict[str, Handler]:
    """A handler for each kind, by its path below /v1/organization/."""
    return {kind.path: partial(_answer, kind) for kind in KINDS}


def _answer(kind: Kind, asked: Asked) -> dict[str, Any]:
    what = question.read(kind, asked.parameters, int(asked.now.timestamp()))
    needs_projects = what.projects is not None or "project_id" in what.group_by
    projects = _projects(asked) if needs_projects else {}
    used = asked.room.usage.used(asked.org, what, projects)
    return results.page(what, used)


def _projects(asked: Asked) -> dict[str, str]:
    """The project of each API key that the organization ever had."""
    return {key.id: key.project for key in keys.all_of(asked.database, asked.org)}

"""Rate limits of a project, which can only narrow what the operator allows its organization.

Belongs here: handlers, and a limit as OpenAI writes it. Does not: holding requests to them
(slipway.gateway.admission).

There is one for each model that the organization may use. Where nothing limits a model, OpenAI's field, which
is a number, has UNLIMITED.
"""

from __future__ import annotations

from typing import Any

from slipway.gateway.admin import refusals
from slipway.gateway.admin.asked import Asked
from slipway.gateway.admin.paging import Listing, cursor_of
from slipway.gateway.api.parameters import bad_parameter
from slipway.records.routes import Route
from slipway.tenants import projects
from slipway.tenants.projects import RateLimitRecord

UNLIMITED = 10**15
_PREFIX = "rl-"
_FIELDS = {
    "max_requests_per_1_minute": "requests_per_minute",
    "max_tokens_per_1_minute": "tokens_per_minute",
}
_NOT_COUNTED = {
    "batch_1_day_max_input_tokens": "There are no batches here.",
    "max_audio_megabytes_per_1_minute": "Audio is not counted in megabytes here. Limit requests.",
    "max_images_per_1_minute": "Images are not counted here. Limit tokens.",
    "max_requests_per_1_day": "Requests are counted by the minute here.",
}


def listed(asked: Asked) -> dict[str, Any]:
    """GET projects/*/rate_limits."""
    cursor = cursor_of(asked.parameters, default=100)
    of_project = {each.model: each for each in projects.limits_of(asked.database, asked.org, asked.ids[0])}
    table = asked.room.routes()
    routes = [table.by_model[model] for model in table.models_of(asked.org)]
    listing = Listing(routes, lambda route: _PREFIX + route.model)
    return listing.page(cursor, lambda route: _written(route, of_project.get(route.model)))


def update(asked: Asked) -> dict[str, Any]:
    """POST projects/*/rate_limits/*."""
    project, id = asked.ids
    fields = asked.fields(*_FIELDS, *_NOT_COUNTED)
    for field, reason in _NOT_COUNTED.items():
        if field in fields:
            raise bad_parameter(field, reason)
    route = asked.room.routes().visible(id.removeprefix(_PREFIX), asked.org)
    if not id.startswith(_PREFIX) or route is None:
        raise refusals.no_such(f"projects/{project}/rate_limits/{id}")
    wanted = {name: fields.integer(field, 0, UNLIMITED) for field, name in _FIELDS.items()}
    for field, name in _FIELDS.items():
        number, operators = wanted[name], _operators(route, name)
        if number is not None and operators is not None and number > operators:
            raise refusals.too_wide(field, number, operators, route.model)
    kept = projects.change_limit(asked.database, asked.org, project, route.model, **wanted)
    return _written(route, kept)


def _written(route: Route, of_project: RateLimitRecord | None) -> dict[str, Any]:
    """As OpenAI writes it: what holds, the narrower of the project's and the operator's."""
    numbers = {}
    for field, name in _FIELDS.items():
        given = [_operators(route, name), getattr(of_project, name, None)]
        numbers[field] = min((number for number in given if number is not None), default=UNLIMITED)
    return {"id": _PREFIX + route.model, "object": "project.rate_limit", "model": route.model, **numbers}


def _operators(route: Route, name: str) -> int | None:
    number: int | None = getattr(route.limits.org, name, None)
    return number

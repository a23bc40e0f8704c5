"""The route table: which model names exist, who may use them, and where they are served.

Belongs here: the table's types, its encoding, and every reason to refuse one.
Does not: where it lies (route_store.py), deciding what goes in (slipway.control.routing).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal

import orjson
from pydantic import AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from slipway.catalog.deployment import Limits
from slipway.catalog.fields import Spec, Task

SCHEMA = 1

_Filled = Annotated[str, StringConstraints(min_length=1)]
_Upstream = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+(/\S*)?/v1$")]


class RouteTableError(ValueError):
    """A route table that cannot be used; the message names every bad field, its value and what is wrong."""


class Route(Spec):
    """One model name. `upstreams` are OpenAI base URLs that all serve `upstream_model` at `revision`."""

    model: _Filled
    deployment: _Filled
    revision: _Filled = Field(description="Spec digest of the revision that serves.")
    upstreams: tuple[_Upstream, ...] = Field(min_length=1)
    upstream_model: _Filled
    task: Task = "text-generation"
    sharing: Literal["none", "all"] | tuple[_Filled, ...] = "none"
    limits: Limits = Limits()
    timeout_s: float = Field(300, gt=0, description="Longest silence of the upstream.")

    def is_shared_with(self, org: str) -> bool:
        """Whether an organization may know of this model."""
        return self.sharing == "all" or (self.sharing != "none" and org in self.sharing)

    @property
    def serving(self) -> str:
        """What a rollout drains on: `<deployment>/<spec_digest>`."""
        return f"{self.deployment}/{self.revision}"


class RouteTable(Spec):
    """All routes at one moment. `version` is a digest of the routes, so equal tables have equal versions."""

    version: _Filled
    generated_at: AwareDatetime
    routes: tuple[Route, ...] = ()

    @model_validator(mode="after")
    def _one_route_per_model(self) -> RouteTable:
        if len(self.by_model) != len(self.routes):
            names = [route.model for route in self.routes]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"model {', '.join(twice)} has several routes. Keep one per model name")
        return self

    @cached_property
    def by_model(self) -> dict[str, Route]:
        """Routes by the model name of requests."""
        return {route.model: route for route in self.routes}

    def visible(self, model: str, org: str) -> Route | None:
        """The route if the organization may use it; None alike for not shared and for not existing."""
        route = self.by_model.get(model)
        return route if route is not None and route.is_shared_with(org) else None

    def models_of(self, org: str) -> list[str]:
        """Model names that the organization may use, sorted."""
        return sorted(route.model for route in self.routes if route.is_shared_with(org))


def build(routes: Iterable[Route], *, now: datetime | None = None) -> RouteTable:
    """Make a table; routes are put in order of their model names. Raises RouteTableError."""
    ordered = tuple(sorted(routes, key=lambda route: route.model))
    content = orjson.dumps([route.model_dump(mode="json") for route in ordered], option=orjson.OPT_SORT_KEYS)
    try:
        return RouteTable(
            version=hashlib.sha256(content).hexdigest(),
            generated_at=now or datetime.now(UTC),
            routes=ordered,
        )
    except ValidationError as error:
        raise RouteTableError(_explained(error)) from error


def encode(table: RouteTable) -> bytes:
    """The table as JSON, as it lies in the store."""
    return orjson.dumps(
        {"schema": SCHEMA, **table.model_dump(mode="json")}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    )


def parse(body: bytes) -> RouteTable:
    """Read a table. Raises RouteTableError with all problems; nothing of a bad table is used."""
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RouteTableError(f"route table: not JSON ({error}). Publish the routes again.") from error
    if not isinstance(document, dict):
        raise RouteTableError("route table: not a JSON object. Publish the routes again.")
    schema = document.pop("schema", None)
    if schema != SCHEMA:
        raise RouteTableError(
            f"route table: schema = {schema!r}: this gateway reads {SCHEMA}. Upgrade the older side."
        )
    try:
        return RouteTable.model_validate_json(orjson.dumps(document))
    except ValidationError as error:
        raise RouteTableError(_explained(error)) from error


def _explained(error: ValidationError) -> str:
    problems = []
    for detail in error.errors(include_url=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
        shown = "" if isinstance(detail["input"], dict | list) else f" = {detail['input']!r}"
        problems.append(f"route table: {path.lstrip('.') or 'routes'}{shown}: {detail['msg']}.")
    return "\n".join(problems)

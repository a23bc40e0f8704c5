"""The route table: which model names exist, who may use them, and where they are served.

Belongs here: the table's types, its encoding, and every reason to refuse one.
Does not: where it lies (route_store.py), deciding what goes in (slipway.control.routing).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
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


def _says_nothing(value: object) -> bool:
    return value is None or value is False


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
    # Not written where they say nothing: such a table is the same as before there were these fields.
    served_name: _Filled | None = Field(
        None,
        exclude_if=_says_nothing,
        description="What the revision calls it, before its engine's own names; absent: as in requests.",
    )
    salts_prompts: bool = Field(
        False,
        exclude_if=_says_nothing,
        description="Whether prompts carry a salt of their organization: none shares a cached prefix.",
    )
    endpoints: tuple[_Filled, ...] | None = Field(
        None, exclude_if=_says_nothing, description="Whose gateways serve it; absent: those of all."
    )

    @property
    def name_of_revision(self) -> str:
        """The name in its revision's record."""
        return self.served_name or self.model

    @property
    def serving(self) -> str:
        """What a rollout drains on: `<deployment>/<spec_digest>`."""
        return f"{self.deployment}/{self.revision}"


class RouteTable(Spec):
    """All routes at one moment. `version` is a digest of the routes, so equal tables have equal versions.

    A model name may have several routes, each at other endpoints; `at` gives the one that a gateway serves.
    """

    version: _Filled
    generated_at: AwareDatetime
    routes: tuple[Route, ...] = ()

    @model_validator(mode="after")
    def _one_route_per_model(self) -> RouteTable:
        twice = sorted({model for model, routes in self._routes_by_model().items() if _meet(routes)})
        if twice:
            raise ValueError(f"model {', '.join(twice)} has several routes. Keep one per model name")
        return self

    def at(self, endpoint: str | None) -> RouteTable:
        """What a gateway of that endpoint serves; one of none serves every name that has a single route."""
        if endpoint is not None:
            kept = [r for r in self.routes if r.endpoints is None or endpoint in r.endpoints]
        else:
            kept = [routes[0] for routes in self._routes_by_model().values() if len(routes) == 1]
        return RouteTable(version=self.version, generated_at=self.generated_at, routes=tuple(kept))

    def _routes_by_model(self) -> dict[str, list[Route]]:
        by_model: dict[str, list[Route]] = {}
        for route in self.routes:
            by_model.setdefault(route.model, []).append(route)
        return by_model

    @cached_property
    def by_model(self) -> dict[str, Route]:
        """Routes by the model name of requests; of a name that has several, the last."""
        return {route.model: route for route in self.routes}

    @cached_property
    def _of_all(self) -> dict[str, Route]:
        """Those that every organization may use."""
        return {model: route for model, route in self.by_model.items() if route.sharing == "all"}

    @cached_property
    def _of_org(self) -> dict[str, dict[str, Route]]:
        """Those that only some may use, by organization."""
        of_org: dict[str, dict[str, Route]] = {}
        for model, route in self.by_model.items():
            for org in route.sharing if isinstance(route.sharing, tuple) else ():
                of_org.setdefault(org, {})[model] = route
        return of_org

    def visible(self, model: str, org: str) -> Route | None:
        """The route if the organization may use it; None alike for not shared and for not existing.

        It is looked up among those that the organization may use: what it may not use is not there, and costs
        the same time as what is nowhere.
        """
        route = self._of_all.get(model)
        return self._of_org.get(org, {}).get(model) if route is None else route

    def models_of(self, org: str) -> list[str]:
        """Model names that the organization may use, sorted."""
        return sorted({*self._of_all, *self._of_org.get(org, ())})


def _meet(routes: Sequence[Route]) -> bool:
    """Whether two of them would be served by one gateway."""
    served = [endpoint for route in routes for endpoint in route.endpoints or ()]
    everywhere = sum(route.endpoints is None for route in routes)
    return len(routes) > 1 and (everywhere > 0 or len(set(served)) != len(served))


def build(routes: Iterable[Route], *, now: datetime | None = None) -> RouteTable:
    """Make a table; routes are put in order of their model names. Raises RouteTableError."""
    ordered = tuple(sorted(routes, key=lambda route: (route.model, route.endpoints or ())))
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
    except (orjson.JSONEncodeError, RecursionError) as error:  # readable at a depth that is not writable
        raise RouteTableError(
            f"route table: nested too deep to be one ({error}). Publish the routes again."
        ) from error


def _explained(error: ValidationError) -> str:
    problems = []
    for detail in error.errors(include_url=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
        shown = "" if isinstance(detail["input"], dict | list) else f" = {detail['input']!r}"
        problems.append(f"route table: {path.lstrip('.') or 'routes'}{shown}: {detail['msg']}.")
    return "\n".join(problems)

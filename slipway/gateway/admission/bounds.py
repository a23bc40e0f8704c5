"""The limits that apply to a request: whose, of what, and how much of it a request counts.

Belongs here: bounds of a caller from the route's limits and its project's, made once for each caller of a
route; the units that they are in.
Does not: counting (limits.py), what a request may use (estimate.py), words and headers (limit_headers.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from slipway.catalog.deployment import Limits
from slipway.records.routes import Route
from slipway.records.usage import Units
from slipway.tenants.database import KeyRecord
from slipway.tenants.projects import RateLimitRecord

Scope = Literal["org", "project", "user", "api_key"]
Dimension = Literal["requests", "tokens", "audio_seconds", "characters", "documents"]

# As clients read of them: requests and tokens first.
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

_MS = 1_000
# Callers of routes whose bounds are remembered; each costs a kilobyte.
_MOST_CALLERS = 4_096


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit that applies to a request: whose (`subject` is unique per deployment and scope), how much.

    `window_key` tells which window it counts in: not by the number, so that changing a limit forgets nothing.
    It is one text, whose hash is made once. `counted` is the limit in what is counted: audio in milliseconds.
    """

    scope: Scope
    subject: tuple[str, ...]
    dimension: Dimension
    limit: int
    window_key: str = field(init=False, repr=False, compare=False)
    counted: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "window_key", repr((self.dimension, self.scope, self.subject)))
        in_ms = self.dimension == "audio_seconds"
        object.__setattr__(self, "counted", self.limit * _MS if in_ms else self.limit)

    def said(self, counted: int) -> int:
        """What was counted, in what the limit is in; a part is a whole one."""
        return -(-counted // _MS) if self.dimension == "audio_seconds" else counted

    def needs(self, tokens: int, units: Units) -> int:
        """What a request counts that uses so much."""
        if self.dimension == "tokens":
            return tokens
        if self.dimension == "requests":
            return 1
        if self.dimension == "audio_seconds":
            return units.input_audio_ms
        return units.characters if self.dimension == "characters" else units.documents


def bounds_of(limits: Limits, deployment: str, org: str, user: str, api_key: str) -> tuple[Bound, ...]:
    """The bounds that apply to one caller of one deployment; empty when it has no limits."""
    scopes: tuple[tuple[Scope, object, tuple[str, ...]], ...] = (
        ("org", limits.org, (deployment, org)),
        ("user", limits.user, (deployment, org, user)),
        ("api_key", limits.api_key, (deployment, api_key)),
    )
    bounds = []
    for scope, limit, subject in scopes:
        for dimension in DIMENSIONS:
            number = getattr(limit, f"{dimension}_per_minute", None)
            if number is not None:
                bounds.append(Bound(scope, subject, dimension, number))
    return tuple(bounds)


def project_bounds(limit: RateLimitRecord | None, project: str) -> tuple[Bound, ...]:
    """What a project allows itself of one model, beside the operator's bounds: so it can only narrow them."""
    if limit is None:
        return ()
    numbers: tuple[tuple[Dimension, int | None], ...] = (
        ("requests", limit.requests_per_minute),
        ("tokens", limit.tokens_per_minute),
    )
    subject = (project, limit.model)
    return tuple(
        Bound("project", subject, dimension, number) for dimension, number in numbers if number is not None
    )


class CallersBounds:
    """The bounds of callers of routes, remembered: made anew for each request they were a tenth of it.

    By the very key and route: a table that is read again has others, and with these come their own bounds.
    """

    def __init__(self, most: int = _MOST_CALLERS) -> None:
        self._most = most
        # What is held here cannot be another by the same id.
        self._known: dict[tuple[int, int], tuple[KeyRecord, Route, tuple[Bound, ...]]] = {}

    def of(self, key: KeyRecord, route: Route) -> tuple[Bound, ...]:
        """All that apply to a request of this key on this route."""
        caller = (id(key), id(route))
        known = self._known.get(caller)
        if known is not None:
            return known[2]
        bounds = bounds_of(route.limits, route.deployment, key.org, key.user, key.id)
        bounds += project_bounds(key.project_limits.get(route.model), key.project)
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[caller] = key, route, bounds
        return bounds

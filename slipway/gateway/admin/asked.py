"""One administration call as its handler sees it, and what a handler is.

Belongs here: the values that handlers share. Does not: handlers, finding the one for a path (calls.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway.gateway.admin import refusals
from slipway.gateway.admin.usage.reader import UsageReader
from slipway.gateway.api.errors import ApiError, Header
from slipway.gateway.api.parameters import Fields, Parameters
from slipway.records.routes import RouteTable
from slipway.tenants import TenantsDatabase


@dataclass(frozen=True)
class Answer:
    """A call's answer as it is sent."""

    body: bytes
    headers: tuple[Header, ...]


@dataclass(frozen=True)
class Room:
    """What all calls share."""

    database: TenantsDatabase
    usage: UsageReader
    routes: Callable[[], RouteTable]


@dataclass(frozen=True)
class Asked:
    """A call of one organization's admin key, on a thread that may block."""

    room: Room
    org: str
    user: str  # whose key it is
    by: str  # the admin key's id
    path: str  # below /v1/organization
    ids: tuple[str, ...]  # of the path, in order
    parameters: Parameters
    body: bytes
    now: datetime

    def fields(self, *known: str) -> Fields:
        """The body's fields. Raises ApiError."""
        return Fields(self.body, frozenset(known))

    def no_such(self) -> ApiError:
        """What the path names is not there, or not this organization's."""
        return refusals.no_such(self.path)

    @property
    def database(self) -> TenantsDatabase:
        """The tenants' database."""
        return self.room.database


# Raises ApiError, TenantsDatabaseError, ObjectStoreError.
Handler = Callable[[Asked], dict[str, Any]]


def epoch(instant: datetime | None) -> int | None:
    """Unix seconds, as OpenAI writes instants."""
    return None if instant is None else int(instant.timestamp())

"""What an API server refuses, one type per trouble that a caller treats differently.

Belongs here: the types. Does not: the messages (refusals.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.dataplane.errors import ConfigRefusedError, DataPlaneError


@dataclass(frozen=True)
class Owner:
    """Who owns one field that a server-side apply wants to change."""

    manager: str
    field: str


class FieldConflictError(ConfigRefusedError):
    """Somebody else owns fields that the apply sets; `owners` says who owns which."""

    def __init__(self, message: str, owners: tuple[Owner, ...]) -> None:
        super().__init__(message)
        self.owners = owners


class ImmutableFieldError(ConfigRefusedError):
    """The object exists and a field that cannot change differs: it has to be replaced."""

    def __init__(self, message: str, fields: tuple[str, ...]) -> None:
        super().__init__(message)
        self.fields = fields


class MissingKindError(ConfigRefusedError):
    """The API server does not know the kind, or not in this version: its CRD is missing."""


class ForbiddenError(ConfigRefusedError):
    """Slipway's account may not do it: a verb on a resource is missing in its Role."""


class GoneError(DataPlaneError):
    """410: a resource version is too old to go on from; list again."""


class NotFoundError(DataPlaneError):
    """404 of one object: it is not there."""


class StuckDeletionError(DataPlaneError):
    """An object was deleted and does not go: a finalizer never ends."""

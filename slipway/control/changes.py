"""What would change: a field-by-field difference between what is wanted and what is deployed.

Belongs here: comparing plain values. Does not: finding out what is deployed (slipway.dataplane, routes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

_ABSENT = object()


@dataclass(frozen=True)
class FieldChange:
    """One field of one object: its value now and after."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """One thing that an apply would create, update or delete, or that would be refused.

    `detail` says it in lines, where it is made of several objects of a cluster.
    """

    action: Literal["create", "update", "delete", "refused"]
    kind: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    detail: tuple[str, ...] = ()


def plan(kind: str, desired: Mapping[str, Any], deployed: Mapping[str, Any]) -> list[Change]:
    """Compare objects by name: what is created, updated (with its fields) and deleted, in name order."""
    changes: list[Change] = []
    for name in sorted({*desired, *deployed}):
        if name not in deployed:
            changes.append(Change("create", kind, name))
        elif name not in desired:
            changes.append(Change("delete", kind, name))
        elif fields := tuple(field_changes(deployed[name], desired[name])):
            changes.append(Change("update", kind, name, fields))
    return changes


def field_changes(before: Any, after: Any, path: str = "") -> Iterator[FieldChange]:
    """Yield the leaves that differ between two plain JSON values."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            inner = f"{path}.{key}" if path else str(key)
            yield from field_changes(before.get(key, _ABSENT), after.get(key, _ABSENT), inner)
    elif before != after:
        yield FieldChange(path, None if before is _ABSENT else before, None if after is _ABSENT else after)

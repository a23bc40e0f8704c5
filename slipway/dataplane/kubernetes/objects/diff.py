"""What applying an object would change, field by field, from what a list call brought: no call per object.

Belongs here: comparing what is wanted with what is there. Pure.
Does not: which objects (plan.py), the records of owners (owned_fields.py).

An object carries the digest of what was applied (`APPLIED`). While it matches, and Slipway still owns every
field that it sent, the live values are the wanted ones, however the server writes them (500m for 0.5):
a server-side apply by anyone else, or any edit, takes the field's ownership away. Only what is not ours any
more, or was sent differently, is compared by value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.catalog.resolved import digest_of
from slipway.dataplane.kubernetes.api.client import FIELD_MANAGER
from slipway.dataplane.kubernetes.objects import owned_fields
from slipway.dataplane.kubernetes.objects.owned_fields import Fields, Path
from slipway.dataplane.kubernetes.objects.quantities import same_value
from slipway.runtimes.judging.objects import Object, annotations_of

APPLIED = "slipway.dev/applied"

ABSENT = object()
_NAMED_BY_REF = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}
)
_LIKELY_KEYS = (("name",), ("mountPath",), ("containerPort",), ("port",), ("topologyKey",), ("ip",))


@dataclass(frozen=True)
class FieldChange:
    """One field that differs. `owner`: another manager that has it now."""

    path: Path
    live: Any
    wanted: Any
    owner: str | None = None

    @property
    def field(self) -> str:
        """The path as people write it."""
        return owned_fields.shown(self.path)

    def __str__(self) -> str:
        whose = f" (changed by {self.owner})" if self.owner else ""
        return f"{self.field}: {_brief(self.live)} -> {_brief(self.wanted)}{whose}"


def stamped(obj: Object) -> Object:
    """The object as it is applied: with the digest of what it says. All else is shared with `obj`."""
    annotations = {**annotations_of(obj), APPLIED: digest_of(obj)[:16]}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def compare(wanted: Object, live: Object) -> tuple[FieldChange, ...]:
    """What applying `wanted`, a stamped object, would change in `live`; empty when nothing would."""
    ours = owned_fields.of_manager(live, FIELD_MANAGER)
    stamp = annotations_of(wanted)[APPLIED]
    as_sent = annotations_of(live).get(APPLIED) == stamp and ours is not None
    changes = [
        change
        for change in _changes(wanted, live, ours, ())
        if change.path not in _NAMED_BY_REF and not (as_sent and _is_ours(ours or {}, change.path))
    ]
    if ours is not None:
        changes += _given_up(wanted, live, ours)
    told = [change for change in changes if change.path[-1] != f"f:{APPLIED}"] or changes
    return tuple(_with_owner(change, live) for change in told)


def _is_ours(ours: Fields, path: Path) -> bool:
    reached = ours
    for step in path:
        deeper = owned_fields.below(reached, step)
        if deeper is None:
            return not reached
        reached = deeper
    return True


def _changes(wanted: Any, live: Any, ours: Fields | None, path: Path) -> Iterator[FieldChange]:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for name, value in wanted.items():
            step = f"f:{name}"
            deeper = None if ours is None else owned_fields.below(ours, step)
            if name in live:
                yield from _changes(value, live[name], deeper, (*path, step))
            elif not _is_dropped(value):
                yield FieldChange((*path, step), ABSENT, value)
    elif isinstance(wanted, list) and isinstance(live, list):
        yield from _list_changes(wanted, live, ours, path)
    elif not same_value(wanted, live, path):
        yield FieldChange(path, live, wanted)


def _list_changes(
    wanted: Sequence[Any], live: Sequence[Any], ours: Fields | None, path: Path
) -> Iterator[FieldChange]:
    keyed = _keyed(wanted, live, ours)
    if keyed is None:
        if len(wanted) != len(live) or any(
            True for a, b in zip(wanted, live, strict=True) for _ in _changes(a, b, None, path)
        ):
            yield FieldChange(path, live, wanted)
        return
    for step, item, there in keyed:
        deeper = None if ours is None else owned_fields.below(ours, step)
        if there is ABSENT:
            yield FieldChange((*path, step), ABSENT, item)
        else:
            yield from _changes(item, there, deeper, (*path, step))


def _keyed(
    wanted: Sequence[Any], live: Sequence[Any], ours: Fields | None
) -> list[tuple[str, Any, Any]] | None:
    """(step, wanted item, live item) of a list that is merged by keys; None for one that is replaced whole.

    The keys are those of our own records; where there are none yet, a likely one that tells items apart.
    """
    if ours is not None and not owned_fields.has_items(ours) and "." not in ours:
        return None
    names = next(
        (keys for keys in _LIKELY_KEYS if _tells_apart(keys, wanted) and _tells_apart(keys, live)), None
    )
    if names is None:
        return None
    by_key = {_key(names, item): item for item in live}
    return [(_step(names, item, ours), item, by_key.get(_key(names, item), ABSENT)) for item in wanted]


def _tells_apart(names: tuple[str, ...], items: Sequence[Any]) -> bool:
    keys = [
        _key(names, item) for item in items if isinstance(item, Mapping) and all(n in item for n in names)
    ]
    return bool(items) and len(keys) == len(items) == len(set(keys))


def _key(names: tuple[str, ...], item: Mapping[str, Any]) -> str:
    return json.dumps({name: item[name] for name in names}, separators=(",", ":"))


def _step(names: tuple[str, ...], item: Any, ours: Fields | None) -> str:
    recorded = owned_fields.key_of(ours, item) if ours is not None else None
    return recorded or f"k:{_key(names, item)}"


def _given_up(wanted: Object, live: Object, ours: Fields) -> list[FieldChange]:
    """What Slipway applied earlier and does not want any more: the apply removes it, unless others own it."""
    given_up = []
    for path in owned_fields.leaves(ours):
        if _at(wanted, path) is ABSENT:
            there = _at(live, path)
            if there is not ABSENT and owned_fields.owner_of(live, path, FIELD_MANAGER) is None:
                given_up.append(FieldChange(path, there, ABSENT))
    return _outermost(given_up, wanted, live)


def _outermost(changes: list[FieldChange], wanted: Object, live: Object) -> list[FieldChange]:
    """One change for a whole item or mapping that goes, instead of one for each of its fields."""
    seen: dict[Path, FieldChange] = {}
    for change in changes:
        path = change.path
        while len(path) > 1 and _at(wanted, path[:-1]) is ABSENT:
            path = path[:-1]
        seen.setdefault(path, FieldChange(path, _at(live, path), ABSENT))
    return list(seen.values())


def _at(obj: Any, path: Path) -> Any:
    """The value at a path; ABSENT when it is not there."""
    value = obj
    for step in path:
        if step.startswith("f:"):
            value = value.get(step[2:], ABSENT) if isinstance(value, Mapping) else ABSENT
        else:
            items = value if isinstance(value, list) else []
            value = next((item for item in items if owned_fields.key_of({step: {}}, item)), ABSENT)
        if value is ABSENT:
            return ABSENT
    return value


def _with_owner(change: FieldChange, live: Object) -> FieldChange:
    owner = owned_fields.owner_of(live, change.path, FIELD_MANAGER) if change.live is not ABSENT else None
    return FieldChange(change.path, change.live, change.wanted, owner)


def _is_dropped(value: Any) -> bool:
    """Values that the server leaves out when it stores them: empty is the same as absent."""
    return value is None or value is False or value in ({}, [], "", 0)


def _brief(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 120 else f"{text[:117]}..."

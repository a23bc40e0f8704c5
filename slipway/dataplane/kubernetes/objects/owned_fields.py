"""Who owns which field of an object: reading `metadata.managedFields`.

Belongs here: the FieldsV1 format. Pure. Does not: comparing values (diff.py), what to do about it (apply.py).
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management and
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ (FieldsV1)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.runtimes.judging.objects import Object

# One step into an object: `f:<field>`, `k:<key of a list item, JSON>` or `v:<item of a set, JSON>`.
Step = str
Path = tuple[Step, ...]
Fields = Mapping[str, Any]

# Server-side apply fills these in where a list's key has a default.
_KEY_DEFAULTS: Mapping[str, Any] = {"protocol": "TCP"}


def of_manager(live: Object, manager: str) -> Fields | None:
    """The fields that a manager applied; None when it never did, or somebody stripped the records."""
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("manager") == manager and entry.get("operation") == "Apply":
            return dict(entry.get("fieldsV1") or {})
    return None


def owner_of(live: Object, path: Path, other_than: str) -> str | None:
    """Another manager that owns a field, or something in it; None when nobody does."""
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("manager") != other_than and _holds(entry.get("fieldsV1") or {}, path):
            scope = entry.get("subresource")
            return f"{entry['manager']} ({scope})" if scope else str(entry["manager"])
    return None


def _holds(fields: Fields, path: Path) -> bool:
    reached = fields
    for step in path:
        if not reached:  # an atomic value: what lies within belongs to its owner
            return True
        deeper = below(reached, step)
        if deeper is None:
            return False
        reached = deeper
    return True


def below(fields: Fields, step: Step) -> Fields | None:
    """The fields below a step; None when the step is not owned. An empty mapping is a whole value."""
    if step in fields:
        inner: Fields = fields[step]
        return inner
    if step.startswith("k:"):
        wanted = json.loads(step[2:])
        for name, inner in fields.items():
            if name.startswith("k:") and _same_key(json.loads(name[2:]), wanted):
                return inner
    return None


def _same_key(key: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    return all(item.get(name, _KEY_DEFAULTS.get(name)) == value for name, value in key.items())


def key_of(fields: Fields, item: Any) -> Step | None:
    """The step under which a list's item is owned, by the keys that the list's records have."""
    for name in fields:
        if name.startswith("k:") and isinstance(item, Mapping) and _same_key(json.loads(name[2:]), item):
            return name
        if name.startswith("v:") and json.loads(name[2:]) == item:
            return name
    return None


def has_items(fields: Fields) -> bool:
    """Whether these are the records of a list whose items are owned one by one."""
    return any(name[:2] in ("k:", "v:") for name in fields)


def leaves(fields: Fields, path: Path = ()) -> Iterator[Path]:
    """Every path that is owned as a whole."""
    deeper = {step: inner for step, inner in fields.items() if step != "."}
    if not deeper and path:
        yield path
    for step, inner in deeper.items():
        yield from leaves(inner, (*path, step))


def shown(path: Path) -> str:
    """A path as people write it: `spec.template.spec.containers[main].image`."""
    text = ""
    for step in path:
        kind, rest = step[:2], step[2:]
        if kind == "f:":
            text += f".{rest}" if text else rest
        else:
            value = json.loads(rest)
            rest = ",".join(str(part) for part in value.values()) if isinstance(value, dict) else str(value)
            text += f"[{rest}]"
    return text


def extract(live: Object, manager: str) -> Object | None:
    """The object as a manager applied it last: its own fields with their live values; None if it never did.

    Applied again it changes nothing; so it is the start of a change of one field that keeps all others.
    """
    fields = of_manager(live, manager)
    if fields is None:
        return None
    named = {name: live["metadata"][name] for name in ("name", "namespace") if name in live["metadata"]}
    taken = _taken(live, fields)
    metadata = {**named, **taken.pop("metadata", {})}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata, **taken}


def _taken(live: Any, fields: Fields) -> Any:
    deeper = {step: inner for step, inner in fields.items() if step != "."}
    if not deeper:
        return {} if isinstance(live, Mapping) and "." in fields else live
    if isinstance(live, list):
        steps = ((item, key_of(deeper, item)) for item in live)
        return [_taken(item, deeper[step]) for item, step in steps if step is not None]
    return {
        name: _taken(live[name], inner)
        for name, inner in ((step[2:], inner) for step, inner in deeper.items() if step.startswith("f:"))
        if name in live
    }

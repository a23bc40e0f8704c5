"""The part of a document that is known although other fields of it are wrong.

Belongs here: building a document without the fields that cannot be read; who reads one of those is told so
(UnknownValueError of slipway.catalog.fields). Does not: running rules over it (judging.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo

from slipway.catalog.explaining import resembling
from slipway.catalog.fields import Spec, UnknownValueError
from slipway.catalog.files.locating import alternatives, field_names
from slipway.catalog.problems import FieldPath


class _Unknown:
    """Stands for a value that cannot be read."""


_UNKNOWN = _Unknown()


@dataclass
class Partial:
    """A document as far as it is known, the parts of it that are incomplete, and contradictions within it."""

    document: Spec
    incomplete: list[Spec]
    contradictions: list[tuple[FieldPath, str]]


@dataclass
class _Building:
    wrong: frozenset[FieldPath]
    incomplete: list[Spec] = field(default_factory=list)
    contradictions: list[tuple[FieldPath, str]] = field(default_factory=list)

    def is_wrong_below(self, path: FieldPath) -> bool:
        return any(wrong[: len(path)] == path for wrong in self.wrong)


def known_part(model: type[Spec], given: Mapping[str, Any], wrong: frozenset[FieldPath]) -> Partial:
    """What is known of a document; `wrong` are the paths at which validation found something."""
    building = _Building(wrong)
    document = _known(model, given, (), building)
    return Partial(document, building.incomplete, building.contradictions)


def _known(model: type[Spec], given: Mapping[str, Any], at: FieldPath, building: _Building) -> Spec:
    values: dict[str, Any] = {}
    mistyped = _meant(model, given)
    for name, item in model.model_fields.items():
        written = item.alias or name
        if written in given:
            value = _value(model, name, item, given[written], (*at, written), building)
        elif item.is_required() or written in mistyped:
            value = _UNKNOWN
        else:
            value = item.get_default(call_default_factory=True)
        if value is not _UNKNOWN:
            values[name] = value
    # Pydantic's own way fills in defaults, and here one would stand for what was written.
    known = model.model_construct(_fields_set=values.keys() & set(given), **values)
    for name in model.model_fields.keys() - values.keys():
        known.__dict__.pop(name, None)
    if len(values) < len(model.model_fields):
        building.incomplete.append(known)
    building.contradictions += [(at, message) for message in _contradictions(known)]
    return known


def _meant(model: type[Spec], given: Mapping[str, Any]) -> set[str]:
    """Fields that were meant by names that are none: their defaults are not what somebody wrote."""
    fields = field_names(model)
    return {near for name in given.keys() - fields if (near := resembling(name, fields)) is not None}


def _value(
    model: type[Spec], name: str, item: FieldInfo, value: Any, at: FieldPath, building: _Building
) -> Any:
    if building.is_wrong_below(at):
        return _known_of(item.annotation, value, at, building)
    try:
        return getattr(_alone(model, name).model_validate({item.alias or name: value}), name)
    except ValidationError:
        return _UNKNOWN


@cache
def _alone(model: type[Spec], name: str) -> type[BaseModel]:
    item = model.model_fields[name]
    fields: dict[str, Any] = {name: (item.annotation, item)}
    return create_model(f"{model.__name__}_{name}", __base__=Spec, **fields)


def _known_of(annotation: Any, value: Any, at: FieldPath, building: _Building) -> Any:
    """The known part of a field that is wrong somewhere."""
    for kind in alternatives(annotation):
        if isinstance(kind, type) and issubclass(kind, Spec) and isinstance(value, dict):
            return _known(kind, value, at, building)
        if get_origin(kind) is tuple and isinstance(value, list):
            return _known_items(get_args(kind)[0], value, at, building)
        if get_origin(kind) is dict and isinstance(value, dict):
            return _known_entries(get_args(kind)[1], value, at, building)
    return _UNKNOWN


def _known_items(kind: Any, value: Sequence[Any], at: FieldPath, building: _Building) -> Any:
    inner = alternatives(kind)[0]
    if isinstance(inner, type) and issubclass(inner, Spec):
        return tuple(
            _known(inner, _as_fields(inner, item), (*at, number), building)
            for number, item in enumerate(value)
        )
    if kind is str:  # such as arguments, which mean something together
        return _UNKNOWN
    # Names: those that are none are kept as they are written, and no second problem is made of them.
    return tuple(item if isinstance(item, str) else "" for item in value)


def _as_fields(kind: type[Spec], item: Any) -> Mapping[str, Any]:
    if isinstance(item, dict):
        return item
    first = next(iter(kind.model_fields))
    return {first: item} if isinstance(item, str) else {}


def _known_entries(kind: Any, value: Mapping[str, Any], at: FieldPath, building: _Building) -> Any:
    inner = alternatives(kind)[0]
    if isinstance(inner, type) and issubclass(inner, Spec):
        return {
            name: _known(inner, entry if isinstance(entry, dict) else {}, (*at, name), building)
            for name, entry in value.items()
        }
    return {name: entry if isinstance(entry, str) else "" for name, entry in value.items()}


def _contradictions(known: Spec) -> Iterator[str]:
    """What the model says of its fields together, as far as they are known."""
    for rule in type(known).__pydantic_decorators__.model_validators.values():
        if rule.info.mode != "after":
            continue
        try:
            rule.func(known)
        except UnknownValueError:
            continue
        except ValueError as error:
            yield str(error)

"""From where validation found an error to the field as it was written, and what is known of that field.

Belongs here: walking a document's model along a path. Does not: words (slipway.catalog.explaining).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from slipway.catalog.problems import FieldPath


@dataclass(frozen=True)
class Place:
    """A field as written; `known` are the fields that may stand there, `about` is the field's description."""

    path: FieldPath
    known: frozenset[str]
    about: str | None


def written(location: tuple[str | int, ...], model: type[BaseModel]) -> Place:
    """Pydantic's location without the names of union members."""
    path: list[str | int] = []
    known: frozenset[str] = frozenset()
    about: str | None = None
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or current is None:
            is_union_member = isinstance(part, str) and ("[" in part or part in {"tuple", "str"})
            if not is_union_member:
                path.append(part)
            continue
        known = field_names(current)
        path.append(part)
        about = next(
            (item.description for name, item in current.model_fields.items() if part in (name, item.alias)),
            about,
        )
        current = _field_model(current, part)
    return Place(tuple(path), known, about)


def field_names(model: type[BaseModel]) -> frozenset[str]:
    """The fields of a model as they are written."""
    return frozenset(item.alias or name for name, item in model.model_fields.items())


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, alone, optional, or as a list's or mapping's items."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        model = model_in(argument)
        if model is not None:
            return model
    return None


def alternatives(annotation: Any) -> list[Any]:
    """The types that a field takes, each without what is noted at it."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if _is_union(annotation):
        return [inner for member in get_args(annotation) for inner in alternatives(member)]
    return [annotation]


def _is_union(annotation: Any) -> bool:
    return getattr(get_origin(annotation), "__name__", "") in ("Union", "UnionType")


def _field_model(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    for field_name, item in model.model_fields.items():
        if name in (field_name, item.alias):
            return model_in(item.annotation)
    return None

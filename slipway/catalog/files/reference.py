"""`python -m slipway.catalog.files.reference docs/catalog.md`: the fields of every kind as Markdown tables.

Belongs here: words for types and defaults. Does not: the fields and their meaning (slipway.catalog.documents,
slipway.catalog.deployment), the prose around them (the page).
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from slipway.catalog.fields import Cpu, Name, Size, Source
from slipway.catalog.files.generated import GeneratedPart
from slipway.catalog.files.written import HEADER, KINDS
from slipway.catalog.price_fields import (
    Instant,
    PricePerHour,
    PricePerMillion,
    PricePerMinute,
    PricePerRequest,
    PricePerThousand,
)
from slipway.catalog.runtimes import RUNTIMES, RuntimeName

# Types with a syntax of their own, in the words of the page's section "How values are written".
_NAMED: tuple[tuple[Any, str], ...] = (
    (Name, "name"),
    (Size, "size"),
    (Cpu, "CPU"),
    (Source, "source"),
    (Instant, "instant"),
    (PricePerMillion, "decimal"),
    (PricePerMinute, "decimal"),
    (PricePerThousand, "decimal"),
    (PricePerRequest, "decimal"),
    (PricePerHour, "decimal"),
)
_SCALARS: tuple[tuple[Any, str], ...] = (
    (str, "text"),
    (int, "integer"),
    (float, "number"),
    (bool, "true or false"),
)
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))


def markdown() -> str:
    """Tables of all kinds, then of the parts that they are made of, in the order of first use."""
    parts: list[type[BaseModel]] = []
    sections = [_section(f"### {kind}", model, parts, skip=HEADER) for kind, (model, _) in KINDS.items()]
    done = 0
    while done < len(parts):  # a part may name further parts
        sections.append(_section(f"#### {parts[done].__name__}", parts[done], parts))
        done += 1
    return "\n\n".join(sections)


def field_paths() -> set[str]:
    """Every `Kind.field.inner` that a document may hold; items of lists and maps are not counted."""
    paths: set[str] = set()
    for kind, (model, _) in KINDS.items():
        paths |= {f"{kind}.{path}" for path in _paths(model)}
    return paths


def _paths(model: type[BaseModel]) -> Iterator[str]:
    for name, item in model.model_fields.items():
        written = item.alias or name
        yield written
        for inner in _models_in(item.annotation):
            yield from (f"{written}.{path}" for path in _paths(inner))


def _section(
    heading: str, model: type[BaseModel], parts: list[type[BaseModel]], skip: tuple[str, ...] = ()
) -> str:
    summary = " ".join((model.__doc__ or "").split())
    lines = [heading, "", summary, "", "| field | value | default | meaning |", "|---|---|---|---|"]
    hints = typing.get_type_hints(model, include_extras=True)
    for name, item in model.model_fields.items():
        if name in skip:
            continue
        for inner in _models_in(item.annotation):
            if inner not in parts:
                parts.append(inner)
        value = " ".join(filter(None, (_words(hints[name]), _bounds(item))))
        meaning = " ".join((item.description or "").split())
        lines.append(f"| `{item.alias or name}` | {value} | {_default(item)} | {_cell(meaning)} |")
    return "\n".join(lines)


def _words(annotation: Any) -> str:
    for known, words in (*_NAMED, (RuntimeName, _choices(RUNTIMES)), *_SCALARS):
        if annotation == known:
            return words
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _words(arguments[0])
    if origin is Literal:
        return _choices(arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(argument) for argument in arguments if argument is not type(None))
    if origin is tuple:
        return f"list of {_words(arguments[0])}"
    if origin is dict:
        return f"map of {_words(arguments[0])} to {_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    raise TypeError(f"no words for the type {annotation!r}. Add them to slipway/catalog/files/reference.py.")


def _choices(names: Iterable[str]) -> str:
    return ", ".join(f"`{choice}`" for choice in names)


def _bounds(item: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for name, sign in _BOUNDS
        for rule in item.metadata
        if getattr(rule, name, None) is not None
    ]
    return ", ".join(bounds)


def _default(item: FieldInfo) -> str:
    if item.default is PydanticUndefined:
        return "**required**"
    if item.default is None or item.default in ((), {}, ""):
        return "none"
    if isinstance(item.default, BaseModel):
        given = item.default.model_dump(exclude_unset=True, exclude_none=True)
        return ", ".join(f"`{name}: {value:g}`" for name, value in given.items()) or "see there"
    text = str(item.default).lower() if isinstance(item.default, bool) else str(item.default)
    return f"`{text}`"


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PART = GeneratedPart("python -m slipway.catalog.files.reference docs/catalog.md", "fields", markdown)


if __name__ == "__main__":
    PART.main(sys.argv[1:])

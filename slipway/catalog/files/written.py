"""One document as it stands in its file: its place, its flaws as text, and what its fields' types find.

Belongs here: kinds and where their fields are written, and from an error to a Problem.
Does not: reading files (loader.py), the words of an error (slipway.catalog.explaining).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.catalog.concealing import HIDDEN, has_form_of_secret, names_secret_argument
from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import (
    Adapter,
    Document,
    Endpoint,
    Engine,
    Model,
    Organization,
    PriceBook,
    Settings,
)
from slipway.catalog.explaining import explain
from slipway.catalog.files.locating import Place, written
from slipway.catalog.files.positions import PositionedDocument
from slipway.catalog.problems import FieldPath, Problem, dotted, shown

KINDS: dict[str, tuple[type[Document], str]] = {
    "Model": (Model, "models"),
    "Adapter": (Adapter, "adapters"),
    "Deployment": (Deployment, "deployments"),
    "Endpoint": (Endpoint, "endpoints"),
    "Organization": (Organization, "organizations"),
    "PriceBook": (PriceBook, "price_books"),
    "Engine": (Engine, "engines"),
    "Settings": (Settings, "settings"),
}
# Fields beside `kind`; all others are under `spec`.
HEADER = ("name", "description", "owner")


@dataclass(frozen=True)
class WrittenDocument:
    """One document in its file."""

    path: Path
    document: PositionedDocument
    kind: str
    wrong: frozenset[FieldPath] = frozenset()

    @property
    def label(self) -> str:
        """Its collection and name, as problems begin."""
        name = self.document.text_of(("name",))
        return f"{KINDS[self.kind][1]}[{name if isinstance(name, str | int | float) else '?'}]"

    def problem(self, place: FieldPath, field: FieldPath, message: str, *, show: bool = True) -> Problem:
        """A problem at a place of the YAML; `field` is how a person names it, within the document."""
        value = shown(self.document.text_of(place), place) if show and place else None
        if place and isinstance(place[-1], int):
            before = self.document.value_of((*place[:-1], place[-1] - 1)) if place[-1] else None
            value = HIDDEN if value is not None and names_secret_argument(before) else value
        label = f"{self.label}.{dotted(field)}" if field else self.label
        return Problem(self.path, self.document.line_of(place), label, value, message)


def flaws(source: WrittenDocument) -> Iterator[Problem]:
    """What is wrong with a document as text, whatever its fields take."""
    document = source.document
    for place in document.repeated:
        yield source.problem(place, _without_spec(place), "given twice. Remove one of them")
    for place, message in document.flaws:
        yield source.problem(place, _without_spec(place), message)
    for stray in sorted(set(document.value) - {"kind", "spec", *HEADER}):
        message = "unknown field beside kind. Move it under spec, or remove it"
        yield source.problem((stray,), (stray,), message)


def secrets(source: WrittenDocument) -> Iterator[Problem]:
    """What of a document has the form of a secret, wherever it stands."""
    document = source.document
    for place in document.lines:
        for text in (place[-1] if place else None, document.value_of(place)):
            if isinstance(text, str) and has_form_of_secret(text):
                message = "looks like a secret in plain text. Take it out, and name where it lies instead"
                yield source.problem(place, _without_spec(place), message, show=False)


def problems_of(error: ValidationError, source: WrittenDocument) -> dict[FieldPath, Problem]:
    """The problem of each field that validation found wrong, by the field as written."""
    document, model = source.document, KINDS[source.kind][0]
    details: dict[FieldPath, list[Any]] = {}
    places: dict[FieldPath, Place] = {}
    for detail in error.errors(include_url=False):
        place = written(tuple(detail["loc"]), model)
        details.setdefault(place.path, []).append(detail)
        places.setdefault(place.path, place)
    inner = {where[:n] for where in details for n in range(len(where))}
    problems = {}
    for where, found in details.items():
        # A list whose items are wrong is also "too short" to pydantic: only the items are worth saying.
        if where in inner:
            continue
        at, place = place_of(where), places[where]
        value = document.value_of(at)
        message = document.doubts.get(at) or explain(found, place.known, value, place.about)
        problems[where] = source.problem(at, where, message, show=found[0]["type"] != "missing")
    return problems


def place_of(path: FieldPath) -> FieldPath:
    """Where a document's field stands in the YAML."""
    return path if path[:1] and path[0] in HEADER else ("spec", *path)


def _without_spec(path: FieldPath) -> FieldPath:
    return path[1:] if path[:1] == ("spec",) else path

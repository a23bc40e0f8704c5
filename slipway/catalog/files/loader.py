"""Reads a directory of YAML into a Catalog, or says everything that is wrong with it at once.

Belongs here: files, documents, kinds, duplicates, and the place of every problem.
Does not: rules between documents (slipway.catalog.rules).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from slipway.catalog.catalog import Catalog
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
from slipway.catalog.files.positions import PositionedDocument, read_documents
from slipway.catalog.problems import CatalogError, FieldPath, Finding, Problem, dotted, explain, shown
from slipway.catalog.rules.documents import RULES, Rule

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


@dataclass
class LoadedCatalog:
    """A catalog without errors, its warnings, and where each document was written."""

    catalog: Catalog
    warnings: tuple[Problem, ...]
    places: dict[tuple[str, str], str]


@dataclass
class _Reading:
    problems: list[Problem] = field(default_factory=list)
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    sources: dict[tuple[str, str], tuple[Path, PositionedDocument]] = field(default_factory=dict)
    named: set[tuple[str, str]] = field(default_factory=set)


def load(directory: Path, *, rules: Iterable[Rule] = ()) -> LoadedCatalog:
    """Read every `*.yaml` below the directory.

    `rules` are checked besides the catalog's own (runtimes say what they refuse).
    Raises CatalogError with all problems of all files when there is any error.
    """
    reading = _Reading()
    for path in _files(directory, reading):
        _read_file(path, reading)
    catalog = _assemble(reading)
    for rule in (*RULES, *rules):
        # What is written but wrong is reported as such, not also as missing.
        findings = [
            finding
            for finding in rule(catalog)
            if finding.missing is None or finding.missing not in reading.named
        ]
        reading.problems += [_place(finding, reading) for finding in findings]
    problems = sorted(set(reading.problems))
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise CatalogError(errors)
    places = {key: f"{path}:{document.line}" for key, (path, document) in reading.sources.items()}
    return LoadedCatalog(catalog, tuple(problems), places)


def _files(directory: Path, reading: _Reading) -> Sequence[Path]:
    files = sorted(path for pattern in ("*.yaml", "*.yml") for path in directory.rglob(pattern))
    if not files:
        message = "no catalog here: no .yaml file. Point SLIPWAY_CATALOG or --catalog at the directory"
        reading.problems.append(Problem(directory, 1, "catalog", None, message))
    return files


def _read_file(path: Path, reading: _Reading) -> None:
    try:
        for document in read_documents(path.read_text(encoding="utf-8")):
            _read_document(path, document, reading)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        message = f"not YAML: {error.problem}. Correct the syntax"
        reading.problems.append(Problem(path, line, "document", None, message))
    except RecursionError:
        message = "nested too deeply. Documents of a catalog have a few levels"
        reading.problems.append(Problem(path, 1, "document", None, message))
    except UnicodeDecodeError:
        reading.problems.append(Problem(path, 1, "document", None, "not UTF-8 text. Save it as UTF-8"))


def _read_document(path: Path, document: PositionedDocument, reading: _Reading) -> None:
    def problem(where: FieldPath, label: str, message: str) -> None:
        value = shown(document.value_of(where)) if where else None
        reading.problems.append(Problem(path, document.line_of(where), label, value, message))

    if not isinstance(document.value, dict):
        return problem((), "document", "not a mapping. Write kind, name and spec")
    kind = document.value.get("kind")
    if kind not in KINDS:
        return problem(("kind",), "kind", f"unknown kind. Write one of: {', '.join(KINDS)}")
    model, collection = KINDS[kind]
    label = f"{collection}[{document.value.get('name', '?')}]"
    reading.named.add((kind, str(document.value.get("name"))))
    for repeated in document.repeated:
        problem(repeated, f"{label}.{dotted(_without_spec(repeated))}", "given twice. Remove one of them")
    spec = document.value.get("spec", {})
    if not isinstance(spec, dict):
        return problem(("spec",), f"{label}.spec", "not a mapping. Write the fields of the spec under it")
    for stray in set(document.value) - {"kind", "spec", *HEADER}:
        problem((stray,), f"{label}.{stray}", "unknown field beside kind. Move it under spec, or remove it")
    return _validate(path, document, kind, model, label, spec, reading)


def _validate(
    path: Path,
    document: PositionedDocument,
    kind: str,
    model: type[Document],
    label: str,
    spec: dict[str, Any],
    reading: _Reading,
) -> None:
    header = {name: document.value[name] for name in HEADER if name in document.value}
    try:
        parsed = model.model_validate({**spec, **header})
    except ValidationError as error:
        reading.problems += _problems_of(error, model, path, document, label)
        return
    key = (kind, parsed.name)
    if key in reading.documents:
        first_path, first = reading.sources[key]
        message = f"duplicate name: {kind} {parsed.name} is also at {first_path}:{first.line}. Rename one"
        line = document.line_of(("name",))
        reading.problems.append(Problem(path, line, f"{label}.name", parsed.name, message))
        return
    reading.documents[key] = parsed
    reading.sources[key] = (path, document)


def _problems_of(
    error: ValidationError, model: type[Document], path: Path, document: PositionedDocument, label: str
) -> list[Problem]:
    problems: dict[FieldPath, Problem] = {}
    for detail in error.errors(include_url=False):
        where, known = _written_path(tuple(detail["loc"]), model)
        if where in problems:  # a union tries each member; the first says enough
            continue
        place = where if where[:1] and where[0] in HEADER else ("spec", *where)
        value = None if detail["type"] == "missing" else shown(document.value_of(place))
        problems[where] = Problem(
            path, document.line_of(place), f"{label}.{dotted(where)}", value, explain(detail, known)
        )
    inner = {where[:n] for where in problems for n in range(len(where))}
    # A list whose items are wrong is also "too short" to pydantic: only the items are worth saying.
    return [problem for where, problem in problems.items() if where not in inner]


def _written_path(location: tuple[str | int, ...], model: type[BaseModel]) -> tuple[FieldPath, set[str]]:
    """Pydantic's location without the names of union members, and the fields known beside its end."""
    path: list[str | int] = []
    known: set[str] = set()
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or current is None:
            is_union_member = isinstance(part, str) and ("[" in part or part in {"tuple", "str"})
            if not is_union_member:
                path.append(part)
            continue
        known = _field_names(current)
        path.append(part)
        current = _field_model(current, part)
    return tuple(path), known


def _field_names(model: type[BaseModel] | None) -> set[str]:
    if model is None:
        return set()
    return {item.alias or name for name, item in model.model_fields.items()}


def _field_model(model: type[BaseModel] | None, name: str) -> type[BaseModel] | None:
    """The model that a field holds, alone, optional, or as a tuple's or mapping's items."""
    if model is None:
        return None
    for field_name, item in model.model_fields.items():
        if name in (field_name, item.alias):
            return _model_in(item.annotation)
    return None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        model = _model_in(argument)
        if model is not None:
            return model
    return None


def _without_spec(path: FieldPath) -> FieldPath:
    return path[1:] if path[:1] == ("spec",) else path


def _assemble(reading: _Reading) -> Catalog:
    collected: dict[str, list[Any]] = {collection: [] for _, collection in KINDS.values()}
    for (kind, _), document in reading.documents.items():
        collected[KINDS[kind][1]].append(document)
    settings = collected.pop("settings")
    for extra in settings[1:]:
        finding = Finding("Settings", extra.name, (), "a second Settings document. Merge it into the first")
        reading.problems.append(_place(finding, reading))
    # Documents are validated already: Catalog(...) would only check their types again.
    chosen: dict[str, Any] = {"settings": settings[0]} if settings else {}
    chosen |= {collection: tuple(documents) for collection, documents in collected.items()}
    return Catalog.model_construct(None, **chosen)


def _place(finding: Finding, reading: _Reading) -> Problem:
    path, document = reading.sources[(finding.kind, finding.name)]
    collection = KINDS[finding.kind][1]
    label = f"{collection}[{finding.name}]"
    if finding.path:
        label += f".{dotted(finding.path)}"
    place = finding.path if finding.path[:1] and finding.path[0] in HEADER else ("spec", *finding.path)
    value = shown(document.value_of(place)) if finding.path and finding.show_value else None
    return Problem(path, document.line_of(place), label, value, finding.message, finding.severity)

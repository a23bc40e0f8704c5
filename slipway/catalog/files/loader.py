"""Reads a directory of YAML into a Catalog, or says everything that is wrong with it at once.

Belongs here: documents, kinds, duplicates, and the place of every problem.
Does not: which files there are (finding.py), rules between documents (slipway.catalog.rules).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.catalog.catalog import Catalog
from slipway.catalog.documents import Document
from slipway.catalog.explaining import resembling
from slipway.catalog.files.finding import catalog_files, text_of
from slipway.catalog.files.judging import RuleFailedError, findings
from slipway.catalog.files.partial import known_part
from slipway.catalog.files.positions import Budget, PositionedDocument, Unread, read_documents
from slipway.catalog.files.written import (
    HEADER,
    KINDS,
    WrittenDocument,
    flaws,
    place_of,
    problems_of,
    secrets,
)
from slipway.catalog.problems import CatalogError, FieldPath, Finding, Problem, shown
from slipway.catalog.rules.documents import RULES, Rule

# More of them are one mistake, such as a directory that was copied.
_MOST_DUPLICATES = 10


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
    sources: dict[tuple[str, str], WrittenDocument] = field(default_factory=dict)
    incomplete: dict[int, Document] = field(default_factory=dict)
    # What is there, read or not, so that what refers to it is not told that it is missing; and kinds of which
    # there is a document whose name cannot be seen.
    named: set[tuple[str, str]] = field(default_factory=set)
    unnamed: set[str] = field(default_factory=set)
    # Documents that have another's name: each is judged in its place.
    duplicates: list[tuple[WrittenDocument, Document, dict[int, Document]]] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)

    def note_name(self, kind: object, name: object) -> None:
        """A document of that kind (any, where it is none of ours) and name is there."""
        for each in [kind] if isinstance(kind, str) and kind in KINDS else list(KINDS):
            if isinstance(name, str) and name:
                self.named |= {(each, name), (each, re.sub("[^a-z0-9]", "-", name.lower()))}
            else:
                self.unnamed.add(each)

    def lacks(self, kind: str, name: str) -> bool:
        """Whether there is no such document: not one either that cannot be read."""
        return kind not in self.unnamed and (kind, name) not in self.named


def load(directory: Path, *, rules: Iterable[Rule] = ()) -> LoadedCatalog:
    """Read every `*.yaml` below the directory, whatever else lies there.

    `rules` are checked besides the catalog's own (runtimes say what they refuse).
    Raises CatalogError with all problems of all files when there is any error, and nothing else.
    """
    rules = (*RULES, *rules)
    reading = _Reading()
    files, reading.problems = catalog_files(directory)
    if any(problem.severity == "error" for problem in reading.problems):
        reading.note_name(None, None)
    for path in files:
        _read_file(path, reading)
    catalog = _assemble(reading)
    for rule in rules:
        reading.problems += _judged(directory, rule, catalog, reading)
    for duplicate in reading.duplicates[:_MOST_DUPLICATES]:
        reading.problems += _judged_instead(directory, duplicate, rules, reading)
    problems = sorted(set(reading.problems))
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise CatalogError(errors, [problem for problem in problems if problem.severity == "warning"])
    places = {key: f"{each.path}:{each.document.line}" for key, each in reading.sources.items()}
    return LoadedCatalog(catalog, tuple(problems), places)


def _read_file(path: Path, reading: _Reading) -> None:
    found = text_of(path)
    if found.problem is not None:
        reading.problems.append(found.problem)
    if found.text is None:
        if found.problem is not None and found.problem.severity == "error":
            reading.note_name(None, None)
        return
    try:
        for document in read_documents(found.text, reading.budget):
            if isinstance(document, Unread):
                _note_unread(path, document, reading)
            else:
                _read_document(path, document, reading)
    except Exception as error:  # whatever one file holds, the others are read
        logging.getLogger("slipway").debug("reading %s failed", path, exc_info=True)
        message = (
            f"cannot be judged ({type(error).__name__}; SLIPWAY_DEBUG says more). Simplify it, and tell us"
        )
        reading.problems.append(Problem(path, 1, "document", None, message))
        reading.note_name(None, None)


def _note_unread(path: Path, unread: Unread, reading: _Reading) -> None:
    reading.problems.append(Problem(path, unread.line, "document", None, unread.message))
    if unread.kind is not None or unread.name is not None:
        reading.note_name(unread.kind, unread.name)


def _read_document(path: Path, document: PositionedDocument, reading: _Reading) -> None:
    def problem(where: FieldPath, label: str, message: str) -> None:
        value = shown(document.text_of(where), where) if where else None
        reading.problems.append(Problem(path, document.line_of(where), label, value, message))

    if not isinstance(document.value, dict):
        problem((), "document", "not a mapping. Write kind, name and spec")
        return
    kind, name = document.value.get("kind"), document.text_of(("name",))
    if not isinstance(kind, str) or kind not in KINDS:
        reading.note_name(None, name)
        meant = resembling(kind, KINDS) if isinstance(kind, str) else None
        choice = f"Did you mean {meant}? Change it" if meant else f"Write one of: {', '.join(KINDS)}"
        problem(("kind",), "kind", f"unknown kind. {choice}" if kind else f"is missing. {choice}")
        return
    reading.note_name(kind, name)
    source = WrittenDocument(path, document, kind)
    before = len(reading.problems)
    reading.problems += flaws(source)
    spec = document.value.get("spec") or {}
    if not isinstance(spec, dict):
        message = "not a mapping. Write the fields of the spec under it"
        problem(("spec",), f"{source.label}.spec", message)
        return
    _validate(source, spec, reading)
    said = {(each.file, each.line, each.field) for each in reading.problems[before:]}
    reading.problems += [each for each in secrets(source) if (each.file, each.line, each.field) not in said]


def _validate(source: WrittenDocument, spec: Mapping[str, Any], reading: _Reading) -> None:
    document, model = source.document, KINDS[source.kind][0]
    given = {**spec, **{name: document.value[name] for name in HEADER if name in document.value}}
    incomplete: list[Any] = []
    try:
        parsed: Any = model.model_validate(given)
    except ValidationError as error:
        problems = problems_of(error, source)
        partial = known_part(model, given, frozenset(problems))
        parsed, incomplete = partial.document, partial.incomplete
        for where, message in partial.contradictions:
            problems.setdefault(where, source.problem(place_of(where), where, message))
        reading.problems += problems.values()
        source = WrittenDocument(source.path, document, source.kind, frozenset(problems))
        name = document.text_of(("name",))
        if not isinstance(name, str):
            return
        parsed.__dict__["name"] = name
    parts = {id(part): parsed for part in (*incomplete, parsed)} if source.wrong else {}
    key = (source.kind, parsed.name)
    if key in reading.documents:
        first = reading.sources[key]
        there = f"{first.path}:{first.document.line}"
        message = f"duplicate name: {source.kind} {parsed.name} is also at {there}. Rename one"
        reading.problems.append(source.problem(("name",), ("name",), message))
        reading.duplicates.append((source, parsed, parts))
        return
    reading.documents[key] = parsed
    reading.sources[key] = source
    reading.incomplete |= parts


def _judged(directory: Path, rule: Rule, catalog: Catalog, reading: _Reading) -> Iterator[Problem]:
    try:
        found = findings(rule, catalog, reading.incomplete)
    except RuleFailedError as error:
        message = f"cannot be judged: the check of {error} failed; SLIPWAY_DEBUG says more. Tell us, please"
        yield Problem(directory, 1, "catalog", None, message)
        return
    for finding in found:
        # What is written but wrong is reported as such, not also as missing.
        if finding.missing is not None and not reading.lacks(*finding.missing):
            continue
        if finding.path not in reading.sources[(finding.kind, finding.name)].wrong:
            yield _placed(finding, reading)


def _judged_instead(
    directory: Path,
    duplicate: tuple[WrittenDocument, Document, dict[int, Document]],
    rules: Iterable[Rule],
    reading: _Reading,
) -> Iterator[Problem]:
    """What rules say of a document that has another's name, as if it stood where that one does."""
    source, document, parts = duplicate
    key = (source.kind, document.name)
    other = replace(
        reading,
        problems=[],
        documents={**reading.documents, key: document},
        sources={**reading.sources, key: source},
        incomplete={**reading.incomplete, **parts},
    )
    catalog = _assemble(other)
    for rule in rules:
        for problem in _judged(directory, rule, catalog, other):
            if problem.file == source.path and problem.field.startswith(source.label):
                yield problem


def _assemble(reading: _Reading) -> Catalog:
    collected: dict[str, list[Any]] = {collection: [] for _, collection in KINDS.values()}
    for (kind, _), document in reading.documents.items():
        collected[KINDS[kind][1]].append(document)
    settings = collected.pop("settings")
    for extra in settings[1:]:
        finding = Finding("Settings", extra.name, (), "a second Settings document. Merge it into the first")
        reading.problems.append(_placed(finding, reading))
    # Documents are validated already: Catalog(...) would only check their types again.
    chosen: dict[str, Any] = {"settings": settings[0]} if settings else {}
    chosen |= {collection: tuple(documents) for collection, documents in collected.items()}
    return Catalog.model_construct(None, **chosen)


def _placed(finding: Finding, reading: _Reading) -> Problem:
    source = reading.sources[(finding.kind, finding.name)]
    show = bool(finding.path) and finding.show_value
    problem = source.problem(place_of(finding.path), finding.path, finding.message, show=show)
    return problem if finding.severity == "error" else problem.as_warning()

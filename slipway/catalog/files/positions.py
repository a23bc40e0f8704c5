"""YAML with its line numbers: each document as plain values and the line of every field, within bounds.

Belongs here: reading YAML text, whatever stands in it, in bounded time and memory.
Does not: what a scalar means (scalars.py), what the values mean (loader.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from slipway.catalog.concealing import control_character
from slipway.catalog.files.scalars import read_scalar
from slipway.catalog.problems import FieldPath

MOST_DEPTH = 40
MOST_NODES = 200_000  # of one file
MOST_NODES_OF_ALL = 1_000_000
MOST_ANCHORS = 200
# After so many documents that are not YAML, the rest of a file is not tried.
MOST_UNREAD = 20
# Libyaml takes no others, escaped ones apart.
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NEXT_DOCUMENT = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_KIND = re.compile(r"^kind:\s*['\"]?([A-Za-z]+)", re.MULTILINE)
_NAME = re.compile(r"^name:[ \t]*['\"]?([A-Za-z0-9][\w.-]*)['\"]?[ \t]*(?:#.*)?$", re.MULTILINE)
_MERGE = "<<"


@dataclass
class Budget:
    """How many more values a catalog and one file of it may hold; an alias counts as all it stands for."""

    of_all: int = MOST_NODES_OF_ALL
    of_file: int = 0

    def spend(self, nodes: int) -> bool:
        """Whether there is room for so many more."""
        if nodes > min(self.of_all, self.of_file):
            return False
        self.of_all -= nodes
        self.of_file -= nodes
        return True


@dataclass
class PositionedDocument:
    """One YAML document: its value, the line of each field, and what is wrong with how it is written.

    `written` holds the text of scalars that were read as something else, `doubts` why a text is no number.
    """

    value: Any
    line: int
    lines: dict[FieldPath, int] = field(default_factory=dict)
    written: dict[FieldPath, str] = field(default_factory=dict)
    doubts: dict[FieldPath, str] = field(default_factory=dict)
    flaws: list[tuple[FieldPath, str]] = field(default_factory=list)
    repeated: list[FieldPath] = field(default_factory=list)

    def line_of(self, path: FieldPath) -> int:
        """Line of the field, or of the nearest enclosing field that was written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)

    def value_of(self, path: FieldPath) -> Any:
        """The value at a path, or None where nothing was written."""
        value = self.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def text_of(self, path: FieldPath) -> Any:
        """The value at a path as a person wrote it."""
        return self.written.get(path, self.value_of(path))


@dataclass(frozen=True)
class Unread:
    """A part of a text that could not be read, and its document's kind and name where they can be seen."""

    line: int
    message: str
    kind: str | None = None
    name: str | None = None


# What values begin with, and an alias: the parser gives nothing else where a value is due.
_Event = yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent | yaml.AliasEvent


class _RefusedError(ValueError):
    def __init__(self, line: int, message: str, *, at_end: bool = False) -> None:
        super().__init__(message)
        self.line, self.message, self.at_end = line, message, at_end


def read_documents(text: str, budget: Budget | None = None) -> Iterator[PositionedDocument | Unread]:
    """Yield the non-empty documents of a YAML text; what cannot be read ends no other document."""
    text = text.removeprefix("\ufeff")
    for found in list(_UNREADABLE.finditer(text))[:10]:
        line = text.count("\n", 0, found.start()) + 1
        yield Unread(line, f"holds the control character U+{ord(found[0]):04X}. Remove it")
    text = _UNREADABLE.sub("\ufffd", text)
    budget = budget or Budget()
    budget.of_file = MOST_NODES
    start = 0
    for _ in range(MOST_UNREAD):
        first_line = text.count("\n", 0, start)
        try:
            yield from _documents(text[start:], first_line, budget)
            return
        except yaml.MarkedYAMLError as error:
            line = first_line + (error.problem_mark.line + 1 if error.problem_mark else 1)
            refused = _RefusedError(line, f"not YAML: {error.problem}. Correct the syntax")
        except yaml.YAMLError:
            refused = _RefusedError(first_line + 1, "not YAML. Correct the syntax", at_end=True)
        except _RefusedError as error:
            refused = error
        begin, end = _document_around(text, start, refused.line)
        kind, name = _KIND.search(text, begin, end), _NAME.search(text, begin, end)
        yield Unread(refused.line, refused.message, kind and kind[1], name and name[1])
        if refused.at_end or end == len(text):
            return
        start = end


def _document_around(text: str, start: int, line: int) -> tuple[int, int]:
    """Where the document of a line begins and ends, by the marks between documents."""
    offset = start
    for _ in range(line - 1 - text.count("\n", 0, start)):
        offset = text.find("\n", offset) + 1 or len(text)
    begin, end = start, len(text)
    for mark in _NEXT_DOCUMENT.finditer(text, start):
        if mark.start() >= max(offset, start + 1):
            end = mark.start()
            break
        begin = mark.start()
    return begin, end


def _documents(text: str, first_line: int, budget: Budget) -> Iterator[PositionedDocument]:
    loader = yaml.CSafeLoader(text)
    try:
        while not loader.check_event(yaml.StreamEndEvent):
            event = loader.get_event()
            if isinstance(event, yaml.DocumentStartEvent):
                document = _Composer(loader, first_line, budget).document()
                if document.value is not None:
                    yield document
    finally:
        loader.dispose()


@dataclass(frozen=True)
class _Anchored:
    """What an alias stands for: its value, how many values that is, and the lines within it."""

    value: Any
    nodes: int
    lines: dict[FieldPath, int]


class _Composer:
    """From the parser's events to one document."""

    def __init__(self, loader: yaml.CSafeLoader, first_line: int, budget: Budget) -> None:
        self._loader, self._first_line, self._budget = loader, first_line, budget
        self._anchors: dict[str, _Anchored | None] = {}
        self._document = PositionedDocument(None, 1)

    def document(self) -> PositionedDocument:
        """The document whose start the parser has just told of."""
        event = self._next()
        self._document.line = self._line(event)
        self._document.value = self._value(event, ())
        return self._document

    def _next(self) -> Any:
        return self._loader.get_event()

    def _line(self, event: Any) -> int:
        return int(event.start_mark.line) + 1 + self._first_line

    def _value(self, event: _Event, path: FieldPath) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        self._spend(event, 1)
        if len(path) > MOST_DEPTH:
            message = "nested too deeply. Documents of a catalog have a few levels"
            raise _RefusedError(self._line(event), message)
        self._document.lines.setdefault(path, self._line(event))
        if event.anchor is None:
            return self._own(event, path)
        if len(self._anchors) >= MOST_ANCHORS:
            message = f"more than {MOST_ANCHORS} anchors in one document. Write some values out"
            raise _RefusedError(self._line(event), message)
        self._anchors[event.anchor] = None  # known, and not complete
        before = self._budget.of_file
        value = self._own(event, path)
        lines = {
            inner[len(path) :]: line
            for inner, line in self._document.lines.items()
            if inner[: len(path)] == path
        }
        self._anchors[event.anchor] = _Anchored(value, 1 + before - self._budget.of_file, lines)
        return value

    def _own(self, event: _Event, path: FieldPath) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        self._check_tag(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(inner := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(inner, (*path, len(items))))
            return items
        return self._mapping(path)

    def _mapping(self, path: FieldPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                message = "a list, a mapping or an alias where a field's name is expected. Write a plain name"
                raise _RefusedError(self._line(event), message)
            self._spend(event, 1)
            key, where = event.value, (*path, event.value)
            if key == _MERGE and event.implicit[0]:
                message = "mappings are not merged in a catalog. Write the fields out"
                self._document.flaws.append((where, message))
            if key in mapping:
                self._document.repeated.append(where)
            # The key's line: a block value starts on the next one, and people look for the field's name.
            self._document.lines[where] = self._line(event)
            self._check_characters(key, where)
            value = self._value(self._next(), where)
            if not (key == _MERGE and event.implicit[0]):
                mapping[key] = value
        return mapping

    def _scalar(self, event: yaml.ScalarEvent, path: FieldPath) -> Any:
        scalar = read_scalar(event.value, event.tag, plain=bool(event.implicit[0]))
        if scalar.flaw is not None:
            self._document.flaws.append((path, scalar.flaw))
        if scalar.doubt is not None:
            self._document.doubts[path] = scalar.doubt
        if isinstance(scalar.value, str):
            self._check_characters(scalar.value, path)
        elif event.value and event.value != str(scalar.value):
            self._document.written[path] = event.value
        return scalar.value

    def _check_characters(self, text: str, path: FieldPath) -> None:
        character = control_character(text)
        if character is not None:
            self._document.flaws.append((path, f"holds the control character {character}. Remove it"))

    def _check_tag(self, event: Any, path: FieldPath) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            message = "has a tag that a catalog does not know. Remove what begins with !"
            self._document.flaws.append((path, message))

    def _alias(self, event: yaml.AliasEvent, path: FieldPath) -> Any:
        if event.anchor not in self._anchors:
            message = f"alias *{event.anchor} of nothing: no &{event.anchor} before it. Write the value out"
            raise _RefusedError(self._line(event), message)
        anchored = self._anchors[event.anchor]
        if anchored is None:
            message = f"alias *{event.anchor} stands within itself. Write the value out"
            raise _RefusedError(self._line(event), message)
        self._spend(event, anchored.nodes)
        for inner, line in anchored.lines.items():
            self._document.lines.setdefault((*path, *inner), line)
            if len(path) + len(inner) > MOST_DEPTH:
                message = "nested too deeply. Documents of a catalog have a few levels"
                raise _RefusedError(self._line(event), message)
        return anchored.value

    def _spend(self, event: yaml.Event, nodes: int) -> None:
        if not self._budget.spend(nodes):
            message = (
                f"too much: a file holds at most {MOST_NODES} values and a catalog {MOST_NODES_OF_ALL}, what "
                "aliases stand for included. Write less, or make several catalogs of it"
            )
            raise _RefusedError(self._line(event), message, at_end=True)

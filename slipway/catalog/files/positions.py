"""YAML with its line numbers: each document as plain values and the line of every field.

Belongs here: reading YAML text. Does not: what the values mean (loader.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from slipway.catalog.problems import FieldPath


@dataclass
class PositionedDocument:
    """One YAML document: its value, the line of each field, and keys that were given twice."""

    value: Any
    line: int
    lines: dict[FieldPath, int] = field(default_factory=dict)
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


def read_documents(text: str) -> Iterator[PositionedDocument]:
    """Yield the non-empty documents of a YAML text; raises yaml.YAMLError where it is not YAML."""
    loader = yaml.CSafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            document = PositionedDocument(None, node.start_mark.line + 1)
            document.value = _construct(loader, node, (), document)
            if document.value is not None:
                yield document
    finally:
        loader.dispose()


def _construct(
    loader: yaml.CSafeLoader, node: yaml.Node, path: FieldPath, document: PositionedDocument
) -> Any:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _construct_mapping(loader, node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*path, n), document) for n, item in enumerate(node.value)]
    return loader.construct_object(node)


def _construct_mapping(
    loader: yaml.CSafeLoader, node: yaml.MappingNode, path: FieldPath, document: PositionedDocument
) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node))
        if key in mapping:
            document.repeated.append((*path, key))
        # The key's line: a block value starts on the next one, and people look for the field's name.
        document.lines[(*path, key)] = key_node.start_mark.line + 1
        mapping[key] = _construct(loader, value_node, (*path, key), document)
    return mapping

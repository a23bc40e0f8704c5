"""The entries of a long safetensors header one by one, so that no header is in memory as a whole.

Belongs here: finding where entries begin and end in JSON that comes in pieces.
Does not: what an entry must say (safetensors.py).

As one JSON document, a header of 82 MB takes 1 GB of Python objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

METADATA = "__metadata__"
# Of one entry, name and all; the metadata, which nobody reads here, may be longer.
_LONGEST_ENTRY_BYTES = 2**20
_CHARACTERS = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_ENTRY = re.compile(
    rb'\s*+"(?P<name>%b)"\s*+:\s*+(?P<value>\{[^{}"]*+(?:"%b"[^{}"]*+)*+\})' % (_CHARACTERS, _CHARACTERS),
    re.DOTALL,
)
_METADATA = re.compile(rb'\s*+"__metadata__"\s*+:\s*+\{')
_SPACE = re.compile(rb"\s*+")
_OUTSIDE_STRINGS, _IN_STRINGS = re.compile(rb'["{}]'), re.compile(rb'["\\]')


class NotJsonError(ValueError):
    """The header is no JSON object of objects; the message says where it ends to be one."""


def entries(pieces: Iterator[bytes]) -> Iterator[tuple[str, Any]]:
    """(name, value) of every entry but the metadata, in order. Raises NotJsonError."""
    text = _Text(pieces)
    if text.next() != b"{":
        raise NotJsonError("is not a JSON object")
    if text.peek() == b"}":
        text.next()
    else:
        while True:
            entry = _entry(text)
            if entry is not None:
                yield entry
            after = text.next()
            if after == b"}":
                break
            if after != b",":
                raise text.wrong()
    if text.peek():
        raise text.wrong()


def _entry(text: _Text) -> tuple[str, Any] | None:
    """The next one; None for the metadata."""
    while True:
        match = text.match(_ENTRY)
        if match:
            break
        if text.left_bytes >= _LONGEST_ENTRY_BYTES or not text.more():
            if text.match(_METADATA):
                _skip_object(text)
                return None
            raise text.wrong()
    try:
        name, value = json.loads(b'"' + match["name"] + b'"'), json.loads(match["value"])
    except (ValueError, RecursionError) as error:
        raise text.wrong() from error
    return None if name == METADATA else (name, value)


def _skip_object(text: _Text) -> None:
    """Up to the end of an object that has begun."""
    depth, in_string = 1, False
    while depth:
        found = text.search(_IN_STRINGS if in_string else _OUTSIDE_STRINGS)
        if found == b"\\":
            text.take(1)
        elif found == b'"':
            in_string = not in_string
        else:
            depth += 1 if found == b"{" else -1


class _Text:
    """What has come of the header and was not passed yet."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._text, self._at, self._passed_bytes = b"", 0, 0

    @property
    def left_bytes(self) -> int:
        return len(self._text) - self._at

    def wrong(self) -> NotJsonError:
        return NotJsonError(f"is not JSON at byte {self._passed_bytes + self._at} of it")

    def more(self) -> bool:
        """Let another piece come; False at the end."""
        piece = next(self._pieces, b"")
        self._passed_bytes += self._at
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """What matches here, and pass it."""
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match

    def search(self, pattern: re.Pattern[bytes]) -> bytes:
        """Pass the next byte that the pattern is, and all before it; it is returned."""
        while (match := pattern.search(self._text, self._at)) is None:
            self._at = len(self._text)
            if not self.more():
                raise self.wrong()
        self._at = match.end()
        return match[0]

    def take(self, count_bytes: int) -> None:
        """Pass so many bytes."""
        while self.left_bytes < count_bytes:
            if not self.more():
                raise self.wrong()
        self._at += count_bytes

    def peek(self) -> bytes:
        """The next byte that is no space; empty at the end."""
        while True:
            self.match(_SPACE)
            if self.left_bytes:
                return self._text[self._at : self._at + 1]
            if not self.more():
                return b""

    def next(self) -> bytes:
        """The same, and pass it."""
        byte = self.peek()
        self._at += len(byte)
        return byte

"""Forms with files (`multipart/form-data`) as bytes: cut into parts as they come, and written anew.

Belongs here: the syntax, both ways. Does not: which fields there are (forms.py), sockets.

A form is never passed on as it was written: an engine that reads it otherwise than the gateway could be made
to serve a model that was not asked for. What is written anew has one reading.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from slipway.gateway.api.errors import ApiError, invalid

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 256
MEDIA_TYPE = "multipart/form-data"

# The parser's warnings quote what a client sent; the client is told, and nobody else.
_NOWHERE = logging.Logger("nowhere", logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Part:
    """The head of one part. `filename` is None where the part is a plain field."""

    name: str
    filename: str | None = None
    content_type: str | None = None


class PartEnd:
    """What comes after the last byte of a part."""


PART_END = PartEnd()
# A part is its head, its bytes in pieces, and its end.
Piece = Part | bytes | PartEnd


def boundary_of(content_type: str) -> bytes:
    """The boundary that a request's Content-Type names. Raises ApiError 400."""
    kind, options = parse_options_header(content_type)
    if kind.strip() != MEDIA_TYPE.encode():
        raise invalid(f"The request body must be {MEDIA_TYPE}, with a `file` and a `model`.", None)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 200 or b"\r" in boundary or b"\n" in boundary:
        raise invalid(f"The Content-Type {MEDIA_TYPE} must name a `boundary` of 1 to 200 bytes.", None)
    return boundary


class FormSplitter:
    """Cuts the bytes of a form into pieces; keeps no more of them than a boundary or a line of a head."""

    def __init__(self, boundary: bytes) -> None:
        self._pieces: list[Piece] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._name = self._value = b""
        self._parts = 0
        self._is_complete = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._head,
            "on_end": self._complete,
        }
        self._parser = MultipartParser(boundary, callbacks)
        self._parser.logger = _NOWHERE

    def feed(self, data: bytes) -> list[Piece]:
        """Return the pieces that these bytes complete. Raises ApiError 400."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _malformed(str(error)) from error
        pieces, self._pieces = self._pieces, []
        return pieces

    def end(self) -> None:
        """The bytes have ended. Raises ApiError 400 where the form has not."""
        if not self._is_complete:
            raise _malformed("it ends before its closing boundary")

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise invalid(f"The form has more than {MAX_PARTS} parts.", None)
        self._headers = []

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers.append((self._name.lower(), self._value))
        self._name = self._value = b""

    def _head(self) -> None:
        self._pieces.append(_part(self._headers))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data if end - start == len(data) else data[start:end])

    def _end_part(self) -> None:
        self._pieces.append(PART_END)

    def _complete(self) -> None:
        self._is_complete = True


class FormWriter:
    """Writes a form of its own, with a boundary that nobody can guess and no part contains."""

    def __init__(self) -> None:
        self._boundary = f"slipway-{secrets.token_hex(16)}".encode()
        self.content_type = f"{MEDIA_TYPE}; boundary={self._boundary.decode()}"
        self.end = b"--%s--\r\n" % self._boundary

    def head(self, part: Part) -> bytes:
        """What comes before the bytes of a part."""
        lines = [f'Content-Disposition: form-data; name="{_quoted(part.name)}"']
        if part.filename is not None:
            lines[0] += f'; filename="{_quoted(part.filename)}"'
        if part.content_type is not None:
            lines.append(f"Content-Type: {part.content_type}")
        return b"--%s\r\n%s\r\n\r\n" % (self._boundary, "\r\n".join(lines).encode())

    def field(self, part: Part, value: bytes) -> bytes:
        """A whole part."""
        return self.head(part) + value + b"\r\n"


def _part(headers: list[tuple[bytes, bytes]]) -> Part:
    dispositions = [value for name, value in headers if name == b"content-disposition"]
    if len(dispositions) != 1:
        raise _malformed("each part needs one Content-Disposition")
    kind, options = parse_options_header(dispositions[0])
    name = options.get(b"name")
    if kind.strip() != b"form-data" or not name:
        raise _malformed("the Content-Disposition of each part must be form-data, with a name")
    filename = options.get(b"filename")
    content_type = dict(headers).get(b"content-type")
    return Part(
        _text(name),
        None if filename is None else _text(filename),
        None if content_type is None else _text(content_type),
    )


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise _malformed("the head of a part is not UTF-8") from error
    if any(character < " " or character == "\x7f" for character in text):
        raise _malformed("the head of a part has control characters")
    return text


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _malformed(why: str) -> ApiError:
    return invalid(f"The request body is not a valid {MEDIA_TYPE}: {why}.", None)

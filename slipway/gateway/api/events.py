"""Server-sent events as the standard has them: bytes as they come, cut into events, and an event's fields.

Belongs here: line ends of all three kinds, fields, comments, the bound of one event.
Does not: what is in the data (stream.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# Larger than any event of a model: what never ends must not fill the memory.
MAX_EVENT_BYTES = 8 * 2**20

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END = b"\n\n"


class AnswerError(ValueError):
    """An engine's answer that cannot be passed on; the message says why."""


class EventSplitter:
    """Cuts bytes as they arrive into whole events: lines with line feeds between them, none of them empty."""

    __slots__ = ("_after_return", "_begun", "_head", "_parts", "_size_bytes")

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of the event that is not whole yet
        self._size_bytes = 0
        self._head = b""  # what may be the beginning of a byte order mark
        self._begun = False
        self._after_return = False  # a carriage return came last: a line feed now is of the same line end

    def takes_whole(self, data: bytes) -> bool:
        """Whether these bytes are one event of one line, as nearly all are; they need not be fed then."""
        return (
            data.find(b"\n") == len(data) - len(_END)
            and data.endswith(_END)
            and not self._parts
            and self._begun
            and not self._after_return
            and b"\r" not in data
        )

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that these bytes complete. Raises AnswerError."""
        if not self._begun:
            data = self._without_mark(data)
        if self._after_return or b"\r" in data:
            data = self._with_line_feeds(data)
        if not data:
            return []
        parts = self._parts
        if parts:
            if not (_END in data or (data[0] == 10 and parts[-1].endswith(b"\n"))):
                self._keep(data)
                return []
            parts.append(data)
            data = b"".join(parts)
            parts.clear()
            self._size_bytes = 0
        *events, rest = data.split(_END)
        if rest:
            self._keep(rest)
        return events

    def end(self) -> bytes:
        """The bytes have ended: the last event, if the empty line after it is missing."""
        rest = b"".join((self._head, *self._parts))
        self._head = b""
        self._parts.clear()
        return rest.strip(b"\n")

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._size_bytes += len(part)
        if self._size_bytes > MAX_EVENT_BYTES:
            raise AnswerError(f"an event of a stream is larger than {MAX_EVENT_BYTES} bytes")

    def _without_mark(self, data: bytes) -> bytes:
        """Leave out one byte order mark at the beginning, even if it is cut."""
        data = self._head + data
        if len(data) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(data):
            self._head = data
            return b""
        self._head = b""
        self._begun = True
        return data.removeprefix(_BYTE_ORDER_MARK)

    def _with_line_feeds(self, data: bytes) -> bytes:
        """CRLF, LF and CR all end a line; JSON has none of them unescaped."""
        if self._after_return and data:
            data = data.removeprefix(b"\n")
            self._after_return = False
        if data:
            self._after_return = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type, its data (None: none at all), and the lines that are neither."""

    kind: bytes
    data: bytes | None
    others: tuple[bytes, ...]

    def with_data(self, data: bytes) -> bytes:
        """The event with other data, which has no line ends in it; without the empty line at its end."""
        return b"\n".join((*self.others, b"data: " + data))


def parse(event: bytes) -> Event:
    """The fields of an event from EventSplitter."""
    kind = b""
    data: list[bytes] = []
    others: list[bytes] = []
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
            continue
        if name == b"event":
            kind = value
        if line:
            others.append(line)
    return Event(kind, b"\n".join(data) if data else None, tuple(others))


def is_whole(event: bytes, decoded: Callable[[bytes], object]) -> bool:
    """Whether an event that ends with the stream was not cut: its data is all there."""
    data = parse(event).data
    return data is not None and (data.strip() == b"[DONE]" or decoded(data) is not None)

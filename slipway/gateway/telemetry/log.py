"""Logs as JSON lines on standard error: one per request, and one per thing that an operator should know.

Belongs here: the format. Never in a log: bodies, secrets, API keys (their ids are).
"""

from __future__ import annotations

import contextlib
import logging
import os
from datetime import UTC, datetime
from typing import Any

import orjson

_STANDARD_ERROR = 2
_LONGEST_VALUE = 2_000


def write(level: str, message: str, **fields: Any) -> None:
    """Write one line. Nothing about it is a reason for a request, or a thread, to fail."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = _encoded({"ts": now, "level": level, "message": message, **fields})
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, line + b"\n")


def reason_of(error: BaseException, expected: tuple[type[BaseException], ...] = ()) -> str:
    """An error in words: its own for an `expected` kind, otherwise with its type, which says half of it."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001
        words = "(it cannot say what it is)"
    named = words if isinstance(error, expected) and words else f"{type(error).__name__}: {words}"
    return named[:_LONGEST_VALUE]


def _encoded(record: dict[str, Any]) -> bytes:
    """The record as JSON; what JSON cannot hold (half a surrogate pair, 300 levels) as Python writes it."""
    try:
        return orjson.dumps(record, default=str)
    except Exception:  # noqa: BLE001
        return orjson.dumps({name: _plain(value) for name, value in record.items()})


def _plain(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
        return text[:_LONGEST_VALUE].encode(errors="backslashreplace").decode()
    except Exception:  # noqa: BLE001
        return f"(a {type(value).__name__} that cannot be written)"


class JsonHandler(logging.Handler):
    """Takes the log records of libraries into the same stream."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as one line, with its traceback if it has one."""
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        write(record.levelname.lower(), record.getMessage(), **fields)


def take_over() -> None:
    """Send the warnings and errors of all libraries through JsonHandler."""
    logging.basicConfig(handlers=[JsonHandler()], level=logging.WARNING, force=True)

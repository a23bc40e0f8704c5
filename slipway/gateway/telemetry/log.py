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


def write(level: str, message: str, **fields: Any) -> None:
    """Write one line. A reader that went away is no reason for a request to fail."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = orjson.dumps({"ts": now, "level": level, "message": message, **fields}, default=str)
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, line + b"\n")


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

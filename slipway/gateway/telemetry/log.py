"""Logs as JSON lines on standard error: one per request, and one per thing that an operator should know.

Belongs here: the format. Does not: writing without waiting (log_writer.py).
Never in a log: bodies, secrets, API keys (their ids are).
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from datetime import UTC, datetime
from typing import Any

import orjson

from slipway.gateway.telemetry.log_writer import LogWriter

_STANDARD_ERROR = 2
_LONGEST_VALUE = 2_000

_writer: LogWriter | None = None  # until take_over: who logs before that may wait


def write(level: str, message: str, **fields: Any) -> None:
    """Write one line. Nothing about it is a reason for a request, or a thread, to fail."""
    line = _line(level, message, fields)
    if _writer is not None:
        _writer.put(line)
        return
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, line)


def dropped() -> int:
    """How many lines were dropped because nobody read them."""
    return 0 if _writer is None else _writer.dropped


def flush(timeout_s: float = 1.0) -> None:
    """Wait that long at most until all is written: before the process ends."""
    if _writer is not None:
        _writer.flush(timeout_s)


def reason_of(error: BaseException, expected: tuple[type[BaseException], ...] = ()) -> str:
    """An error in words: its own for an `expected` kind, otherwise with its type, which says half of it."""
    try:
        words = str(error)
    except Exception:  # noqa: BLE001
        words = "(it cannot say what it is)"
    named = words if isinstance(error, expected) and words else f"{type(error).__name__}: {words}"
    return named[:_LONGEST_VALUE]


def _line(level: str, message: str, fields: dict[str, Any]) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return _encoded({"ts": now, "level": level, "message": message, **fields}) + b"\n"


def _dropped_line(count: int) -> bytes:
    return _line("error", "log lines dropped: nobody read them", {"lines": count})


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
        try:
            message = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                fields["traceback"] = logging.Formatter().formatException(record.exc_info)
        except Exception:  # noqa: BLE001 - a library's mistake in its own message
            message = _plain(record.msg)
        write(record.levelname.lower(), message, **fields)


def take_over() -> None:
    """From now on nobody waits for the log, and the warnings and errors of all libraries go through it."""
    global _writer  # one per process, as is its standard error
    if _writer is None:
        _writer = LogWriter(_STANDARD_ERROR, _dropped_line)
        atexit.register(flush)
    logging.basicConfig(handlers=[JsonHandler()], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    threading.excepthook = _of_thread


def _of_thread(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread is not None else "?"
    error = ended.exc_value if ended.exc_value is not None else ended.exc_type()
    write("error", f"thread {name} ended", error=reason_of(error))

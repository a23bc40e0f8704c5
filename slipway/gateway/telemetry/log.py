"""Logs as JSON lines on standard error: one per request, and one per thing that an operator should know.

Belongs here: the format, and that no secret is in it. Does not: writing without waiting (log_writer.py).
Never in a log: prompts, answers, secrets, API keys (their ids are). So what failed on a client's or an
engine's words is told by its type and where it happened, never in its own words, which may repeat them.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import threading
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from slipway.gateway.telemetry.log_writer import LogWriter

_STANDARD_ERROR = 2
_LONGEST_VALUE = 2_000
_LONGEST_TRACEBACK = 4_000

# What a client puts where no secret belongs, such as a path: a key of ours, whole or cut off.
_KEY = re.compile(rb"sk-slipway-[A-Za-z0-9_-]+")
_KEY_BEGINS = b"sk-slipway-"
_HIDDEN = b"(hidden)"
_SHORTEST_SECRET = 8

_secrets: tuple[bytes, ...] = ()
_writer: LogWriter | None = None  # until take_over: who logs before that may wait


def write(level: str, message: str, **fields: Any) -> None:
    """Write one line. Nothing about it is a reason for a request, or a thread, to fail."""
    line = _line(level, message, fields)
    if _writer is not None:
        _writer.put(line)
        return
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, line)


def hide(secrets: Iterable[str]) -> None:
    """From now on no line holds these, wherever they come from: this process's own secrets."""
    global _secrets  # one per process, as is its standard error
    long = {each for each in secrets if len(each) >= _SHORTEST_SECRET}
    _secrets = tuple(orjson.dumps(each)[1:-1] for each in long)


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


def frames_of(error: BaseException) -> str:
    """Where an error came from, and of what type, with what caused it: without any of their words."""
    told: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        told.append(f"{''.join(traceback.format_tb(current.__traceback__))}{type(current).__name__}\n")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "caused:\n".join(reversed(told))[-_LONGEST_TRACEBACK:]


def _line(level: str, message: str, fields: dict[str, Any]) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return _without_secrets(_encoded({"ts": now, "level": level, "message": message, **fields})) + b"\n"


def _without_secrets(line: bytes) -> bytes:
    if _KEY_BEGINS in line:
        line = _KEY.sub(_HIDDEN, line)
    for secret in _secrets:
        if secret in line:
            line = line.replace(secret, _HIDDEN)
    return line


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
        """Write the first line of a record, and where the error came from if it has one.

        What follows, as asyncio's does, is what was being done: with an error's own words.
        """
        fields: dict[str, Any] = {"logger": record.name}
        try:
            message = record.getMessage().partition("\n")[0]
            if record.exc_info and record.exc_info[1] is not None:
                fields["traceback"] = frames_of(record.exc_info[1])
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

"""What an engine written in C++ said on standard error, which its Python exception does not repeat.

Belongs here: finding the file behind standard error and reading what was added to it.
Does not: redirecting anything (Ray has already sent a replica's standard error to a file).
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

_STDERR = 2
_F_GETPATH = 50  # macOS, sys/fcntl.h; it has no /proc
_MOST_ERRORS = 3
_ERROR_LINE = re.compile(r"^\S+ E (?P<text>.+)$", re.MULTILINE)


class NativeLog:
    """Remembers where standard error stood; later tells the errors written since."""

    def __init__(self) -> None:
        self._path = _file_behind_stderr()
        self._start = self._path.stat().st_size if self._path else 0

    def errors(self) -> list[str]:
        """The first error lines of llama.cpp since this was made; empty when they went to a terminal.

        The first says why; those after it only pass it on.
        """
        if self._path is None:
            return []
        with self._path.open("rb") as file:
            file.seek(self._start)
            return error_lines(file.read().decode(errors="replace"))[:_MOST_ERRORS]


def error_lines(text: str) -> list[str]:
    """Distinct messages of level E in llama.cpp's log format (`<time> E <component> <function>: <text>`)."""
    return list(dict.fromkeys(" ".join(line["text"].split()) for line in _ERROR_LINE.finditer(text)))


def _file_behind_stderr() -> Path | None:
    if not stat.S_ISREG(os.fstat(_STDERR).st_mode):
        return None
    link = Path(f"/proc/self/fd/{_STDERR}")
    if link.exists():
        return link.resolve()
    import fcntl

    return Path(fcntl.fcntl(_STDERR, _F_GETPATH, b"\0" * 1024).rstrip(b"\0").decode())

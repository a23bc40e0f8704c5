"""Log files of the stack's services.

Belongs here: opening them, and the last lines for a message. Does not: what is in them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

_KEPT_BYTES = 20 * 2**20
_TAIL_BYTES = 16 * 2**10
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def open_log(path: Path) -> BinaryIO:
    """Open for appending; a log that has grown large is put aside first, as `<name>.1`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _KEPT_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


def last_lines(path: Path, since_byte: int, count: int = 15) -> str:
    """The last lines written at or after an offset, without colors; empty when there are none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(since_byte, size - _TAIL_BYTES, 0))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(_COLOR.sub("", text).strip().splitlines()[-count:])

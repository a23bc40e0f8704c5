"""What goes wrong with the warehouse's files, in our words: a full disk, too little memory, a file in use.

Belongs here: from DuckDB's and the system's errors to a WarehouseError with the remedy.
Does not: the files (warehouse.py, publish.py), what a rollup does about it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_TEXT = ("No space left", "File too large", "quota exceeded", "max_temp_directory_size")
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT}


class WarehouseError(RuntimeError):
    """The warehouse cannot be opened, read or written; the message names file, cause and remedy."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a DuckDB file, or beside it, into a WarehouseError.

    What is no trouble of files (a statement that is wrong) stays what it is.
    """
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError) as error:
        told = _of_system(path, error) if isinstance(error, OSError) else of_duckdb(path, error)
        if told is None:
            raise
        raise WarehouseError(told) from error


def of_duckdb(path: Path, error: duckdb.Error) -> str | None:
    """What an error of DuckDB says of a file, and what to do; None where it says nothing of files."""
    import duckdb

    text = str(error)
    if any(sign in text for sign in _FULL_TEXT):
        return _full(path)
    if isinstance(error, duckdb.OutOfMemoryException):
        return (
            f"{path}: not enough memory for it. Roll up fewer hours at a time, then run this again; nothing "
            "was changed."
        )
    holder = re.search(r"PID (\d+)", text)
    if "lock on file" in text:
        return (
            f"{path}: is open in {f'process {holder[1]}' if holder else 'another program'} and cannot be "
            "written. Close it there (readers use published.duckdb), then run this again."
        )
    if isinstance(error, duckdb.IOException | duckdb.FatalException | duckdb.InternalException):
        return (
            f"{path}: cannot be read or written ({_first_line(text)}). Restore the file, or remove it and "
            "make the warehouse anew from the store."
        )
    return None


def _of_system(path: Path, error: OSError) -> str | None:
    if error.errno in _FULL:
        return _full(path)
    at = Path(error.filename or "/")
    if error.errno in _NOT_WRITABLE and (at == path.parent or path.parent in at.parents):
        remedy = f"Let this user write {path.parent}, then run this again."
        return f"{at}: cannot be written: {error.strerror}. {remedy}"
    return None


def _full(path: Path) -> str:
    return (
        f"{path}: the disk is full. Free space in {path.parent} (a rollup needs room for a second copy of "
        "the warehouse), then run this again; what was rolled up before is as it was."
    )


def _first_line(text: str) -> str:
    """What DuckDB says, without its kind and without what follows."""
    return text.partition("\n")[0].partition(": ")[2].rstrip(". ") or text.partition("\n")[0]

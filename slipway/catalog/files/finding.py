"""Which files of a directory are the catalog, and their text: whatever else lies there ends nothing.

Belongs here: what is read, what is skipped with a word, and bounds on both.
Does not: what stands in a file (positions.py, loader.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.catalog.problems import Problem

MOST_BYTES = 4 * 2**20
MOST_ENTRIES = 50_000
_SUFFIXES = (".yaml", ".yml")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_WORDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class Text:
    """A file's text, or None where there is none to read."""

    text: str | None
    problem: Problem | None = None


def catalog_files(directory: Path) -> tuple[list[Path], list[Problem]]:
    """Every `*.yaml` and `*.yml` below the directory, in order; and what is skipped or cannot be read."""
    problems: list[Problem] = []
    try:
        is_directory, exists = directory.is_dir(), directory.exists()
    except OSError as error:
        return [], [_unreadable(directory, error)]
    if not is_directory:
        what = "a file, not a directory" if exists else "no such directory"
        message = f"no catalog here: {what}. Point SLIPWAY_CATALOG or --catalog at the directory of its files"
        return [], [Problem(directory.absolute(), 1, "catalog", None, message)]
    files = sorted(_walk(directory, problems))
    if not files and not any(problem.severity == "error" for problem in problems):
        message = "no catalog here: no .yaml file. Point SLIPWAY_CATALOG or --catalog at the directory"
        problems.append(Problem(directory, 1, "catalog", None, message))
    return files, problems


def _walk(directory: Path, problems: list[Problem]) -> Iterator[Path]:
    waiting, entries = [directory], 0
    while waiting:
        here = waiting.pop()
        try:
            inside = sorted(here.iterdir())
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                problems.append(_unreadable(here, error))
            continue
        entries += len(inside)
        if entries > MOST_ENTRIES:
            message = f"more than {MOST_ENTRIES} files below it. Give the catalog a directory of its own"
            problems.append(Problem(directory, 1, "catalog", None, message))
            return
        for path in inside:
            kind = _kind(path, problems)
            if kind == stat.S_IFDIR:
                waiting += _directory(path, problems)
            elif kind is not None and _is_named(path):
                yield from _file(path, kind, problems)


def _directory(path: Path, problems: list[Problem]) -> list[Path]:
    """The directory itself where what is in it is read."""
    if path.name.startswith("."):
        if _holds_yaml(path):
            problems.append(_skipped(path, "hidden"))
        return []
    if path.is_symlink():  # perhaps to what is around it
        problems.append(_skipped(path, "a link to a directory"))
        return []
    if _is_named(path):
        problems.append(_skipped(path, "a directory, not a file; what is in it is read"))
    return [path]


def _file(path: Path, kind: int, problems: list[Problem]) -> list[Path]:
    """The file itself where it is read."""
    if path.name.startswith("."):
        problems.append(_skipped(path, "hidden"))
        return []
    if kind != stat.S_IFREG:
        problems.append(_skipped(path, f"{_WORDS.get(kind, 'a link to nothing')}, not a file"))
        return []
    return [path]


def _is_named(path: Path) -> bool:
    return path.name.lower().endswith(_SUFFIXES)


def _kind(path: Path, problems: list[Problem]) -> int | None:
    """What a path leads to: 0 where a link leads nowhere, None where nothing can or need be said."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return 0 if path.is_symlink() else None  # gone meanwhile: as an editor does when it saves
    except OSError as error:
        if path.is_symlink():
            return 0  # to itself, or through what may not be read
        problems.append(_unreadable(path, error))
        return None


def _holds_yaml(directory: Path, most: int = 1000) -> bool:
    """Whether a hidden directory has what a person may miss; git's own and Kubernetes' links do not."""
    if directory.name == ".git" or directory.name.startswith(".."):
        return False
    looked_at = 0
    for _, directories, names in os.walk(directory):
        if any(name.lower().endswith(_SUFFIXES) for name in names):
            return True
        looked_at += len(directories) + len(names)
        if looked_at > most:
            break
    return False


def text_of(path: Path) -> Text:
    """The text of a file. Bytes that are no text are a problem, and U+FFFD, so that the rest is judged."""
    try:
        # Not blocking: since it was looked at, it may have become a pipe that nobody writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Text(None, _skipped(path, "not a file"))
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Text(None)
    except OSError as error:
        return Text(None, _unreadable(path, error))
    if len(content) > MOST_BYTES:
        message = f"larger than {MOST_BYTES // 2**20} MiB. Split it, or move what is no catalog elsewhere"
        return Text(None, Problem(path, 1, "document", None, message))
    try:
        return Text(content.decode())
    except UnicodeDecodeError as error:
        if content.startswith(_UTF_16):
            return Text(None, Problem(path, 1, "document", None, "UTF-16 text. Save it as UTF-8"))
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 text: byte {content[error.start]:#04x}. Save it as UTF-8"
        return Text(content.decode(errors="replace"), Problem(path, line, "document", None, message))


def _unreadable(path: Path, error: OSError) -> Problem:
    reason = (error.strerror or "an error of the disk").lower()
    message = f"cannot be read: {reason}. Let this user read it, or move it out of the catalog"
    return Problem(path, 1, "file", None, message)


def _skipped(path: Path, what: str) -> Problem:
    return Problem(path, 1, "file", None, f"skipped: {what}", "warning")

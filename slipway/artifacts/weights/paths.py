"""Which files of a source are wanted, and which paths may become keys and file names.

Belongs here: pure decisions about paths. Does not: any store or disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from slipway.artifacts.errors import SourceError
from slipway.artifacts.source import SourceFile, is_never_published

MANIFEST_NAME = "manifest.json"
# S3: a key has at most 1,024 bytes, and ours begin with kind, name and commit. Linux: a name has at most 255.
_LONGEST_PATH = 850
_LONGEST_NAME = 255
_CONTROL = re.compile(r"[\\\x00-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def problem_with(path: str) -> str | None:
    """Why a path from a source must not become a key or a file name; None when it may."""
    if not path or path.startswith("/"):
        return "is not relative"
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "leaves its folder"
    if _CONTROL.search(path):
        return "holds a backslash or a control character"
    if _SURROGATE.search(path):
        return "is not UTF-8"
    if len(path.encode()) > _LONGEST_PATH or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        return f"is longer than {_LONGEST_PATH} bytes, or a part of it than {_LONGEST_NAME}"
    if path == MANIFEST_NAME:
        return f"is where Slipway keeps its own {MANIFEST_NAME}"
    return None


def matches(path: str, patterns: Iterable[str]) -> bool:
    """True when a pattern fits the whole path; as at the hub, `*` crosses `/` and `dir/` is all below it."""
    return any(fnmatchcase(path, f"{each}*" if each.endswith("/") else each) for each in patterns)


def wanted(
    files: Iterable[SourceFile], include: tuple[str, ...], exclude: tuple[str, ...], *, source: str
) -> tuple[SourceFile, ...]:
    """The files to take, by path; never those of `.git/` and its like.

    Raises SourceError when there are none or one has an unusable path.
    """
    taken = sorted(
        (
            file
            for file in files
            if not is_never_published(file.path)
            and (not include or matches(file.path, include))
            and not matches(file.path, exclude)
        ),
        key=lambda file: file.path,
    )
    if not taken:
        raise SourceError(
            f"{source}: no file matches include={list(include)} and exclude={list(exclude)}. "
            "Correct the patterns."
        )
    for file in taken:
        problem = problem_with(file.path)
        if problem:
            raise SourceError(f"{source}: file {file.path!r} {problem}. Leave it out with `exclude`.")
    return tuple(taken)

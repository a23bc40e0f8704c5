"""Whether files are what their names say: weights that parse, and indexes whose shards are all there.

Belongs here: which file is looked at how, and the words for what is wrong.
Does not: the formats (safetensors.py, gguf.py), text in their place (foreign_text.py), digests (delivery.py).
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from types import ModuleType
from typing import Any

from slipway.artifacts.errors import CorruptFileError
from slipway.artifacts.source import SourceFile
from slipway.artifacts.transfer.stored import read_range
from slipway.artifacts.weights import foreign_text, gguf, safetensors
from slipway.objectstore import ObjectStore

_FORMATS: dict[str, ModuleType] = {".safetensors": safetensors, ".gguf": gguf}
_INDEXES = (".safetensors.index.json", ".bin.index.json")
_RANGE_BYTES = 2**22
_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth")


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used as it is, why, and what to do."""

    path: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}. {self.remedy}"


class Inspection:
    """Looks at the files of one prefix. Safe to share between threads: each file is one thread's."""

    def __init__(self, store: ObjectStore, key_prefix: str) -> None:
        self._store = store
        self._key_prefix = key_prefix
        self._seen: dict[str, str | None] = {}

    def passing(self, file: SourceFile, first: memoryview | bytes) -> None:
        """Look at a file whose first bytes happen to be in memory, so that they need not be read again.

        Of whatever is not weights, only whether it is what its name says and no text in its place.
        """
        form = _format_of(file.path)
        if not len(first):
            return
        foreign = foreign_text.problem(file.path, bytes(first[: foreign_text.HEAD_BYTES]), file.size_bytes)
        if form is None or foreign:
            self._seen[file.path] = foreign
            return
        needed = form.needed_bytes(bytes(first[:8]), file.size_bytes)
        if needed <= len(first):
            self._seen[file.path] = _judge(form, bytes(first[:needed]), file.size_bytes)

    def problem_with(self, path: str, size_bytes: int) -> str | None:
        """Why this file's beginning cannot be right; None when it can. Reads it unless it passed by."""
        if path not in self._seen:
            self._seen[path] = self._look(path, size_bytes)
        return self._seen[path]

    def require(
        self, files: Iterable[SourceFile], offered: Iterable[SourceFile], source: str, patterns: str
    ) -> None:
        """Raise CorruptFileError naming every file that cannot be right, one line each.

        `offered` is all that the source has, `patterns` the words for what was chosen of it.
        """
        taken = {file.path: file.size_bytes for file in files}
        problems = [
            *self._of_weights(taken),
            *self._of_indexes(taken, {file.path for file in offered}, patterns),
        ]
        if problems:
            lines = "\n".join(f"{source} file {each}" for each in problems)
            raise CorruptFileError(f"{lines}\nNothing was published.")

    def _of_weights(self, taken: Mapping[str, int]) -> Iterable[Problem]:
        for path, size_bytes in taken.items():
            what = self.problem_with(path, size_bytes)
            if what:
                yield Problem(
                    path, what, "Ask its owner, pin another commit, or leave the file out with `exclude`."
                )

    def _of_indexes(self, taken: Mapping[str, int], offered: set[str], patterns: str) -> Iterable[Problem]:
        for path in taken:
            if path.endswith(_INDEXES):
                body = self._store.get(self._key_prefix + path)
                yield from index_problems(path, body or b"", set(taken), offered, patterns)

    def _look(self, path: str, size_bytes: int) -> str | None:
        form, key = _format_of(path), self._key_prefix + path
        head_bytes = foreign_text.HEAD_BYTES if form is None else 64 * 1024
        head = read_range(self._store, key, 0, min(head_bytes, size_bytes))
        foreign = foreign_text.problem(path, head, size_bytes)
        if form is None or foreign:
            return foreign
        needed: int = form.needed_bytes(head, size_bytes)
        if needed <= len(head):
            return _judge(form, head, size_bytes)
        rest = (
            read_range(self._store, key, at, min(_RANGE_BYTES, needed - at))
            for at in range(len(head), needed, _RANGE_BYTES)
        )
        long: str | None = form.problem_in(chain([head], rest), size_bytes)
        return long


def index_problems(
    path: str, body: bytes, taken: set[str], offered: set[str], patterns: str
) -> Iterable[Problem]:
    """What is wrong with an index of shards, by what was taken of the source and what it offers."""
    shards = _shards(path, body)
    if shards is None:
        yield Problem(
            path, "is no index: no `weight_map` of file names in it", "Leave it out with `exclude`."
        )
        return
    lacking = sorted(shards - taken)
    if not lacking or (shards.isdisjoint(taken) and any(each.endswith(_WEIGHTS) for each in taken)):
        return  # whole, or the index of another format than the one that was chosen
    named = f"{', '.join(lacking[:3])}{', ...' if len(lacking) > 3 else ''}"
    if shards <= offered:
        yield Problem(
            path,
            f"names {named}, left out by {patterns}",
            "Take these files too, or leave the index out with `exclude`.",
        )
    else:
        missing = sorted(shards - offered)
        yield Problem(
            path,
            f"names {missing[0]}, which the source does not have",
            "It is incomplete: ask its owner, pin another commit, or leave the index out with `exclude`.",
        )


def _shards(path: str, body: bytes) -> set[str] | None:
    """Paths that the index names; None when it is no index."""
    try:
        index: Any = json.loads(body)
        names = set(index["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not names or not all(isinstance(name, str) for name in names):
        return None
    folder = posixpath.dirname(path)
    return {posixpath.normpath(posixpath.join(folder, name)) for name in names}


def _format_of(path: str) -> ModuleType | None:
    return _FORMATS.get(posixpath.splitext(path)[1])


def _judge(form: ModuleType, head: bytes, size_bytes: int) -> str | None:
    problem: str | None = form.problem(head, size_bytes)
    return problem

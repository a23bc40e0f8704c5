"""What every source of artifacts can do: resolve a revision, list its files, read ranges of them.

Belongs here: the protocol between sources and transfer, its values, and commits for sources that have none.
Does not: any one source (slipway.artifacts.sources), or where the bytes go (slipway.artifacts.transfer).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from slipway.artifacts.errors import SourceError
from slipway.catalog.fields import SecretRef

Count = Callable[[int], None]
# Of one listed file: its path, size in bytes, and what names its content.
Row = tuple[str, int, str]
# What version control, editors and systems leave in a folder.
_TOOLS = frozenset(
    {".git", ".hg", ".svn", ".bzr", ".jj", "CVS", ".dvc", "__pycache__", ".ipynb_checkpoints", ".DS_Store"}
)


@dataclass(frozen=True)
class Digest:
    """What a source names content by: its sha256 or md5, or git's blob id (sha1 over a header and it)."""

    algorithm: Literal["sha256", "git-blob-sha1", "md5"]
    hex: str


@dataclass(frozen=True)
class SourceFile:
    """One file of a snapshot, as the source describes it; not every source knows a digest of its files."""

    path: str
    size_bytes: int
    digest: Digest | None


@dataclass(frozen=True)
class StoredAt:
    """Where a file lies in an S3 store, so that the same store may copy it itself.

    `etag` is the object's as it was listed: a copy is made on the condition that it is still the same.
    """

    endpoint_url: str
    bucket: str
    key: str
    etag: str


class Snapshot(Protocol):
    """One immutable commit of one repository. Safe to share between threads."""

    @property
    def commit(self) -> str:
        """The commit: part of every key that its files get in the store."""

    @property
    def licence(self) -> str | None:
        """The licence that the source states, if any."""

    def files(self) -> tuple[SourceFile, ...]:
        """Every file of the commit. Raises SourceError, AccessError or TransientError."""

    def read_into(self, file: SourceFile, offset: int, buffer: memoryview, count: Count) -> None:
        """Fill the buffer with the file's bytes from `offset` on; `count` gets each piece's size as it comes.

        Raises TransientError when trying again may help, else an ArtifactError.
        """

    def stored_at(self, file: SourceFile) -> StoredAt | None:
        """The S3 object that holds the file, for a source that is an S3 store; None for any other."""


class Source(Protocol):
    """A kind of place that artifacts come from."""

    def resolve(self, location: str, revision: str | None, token: SecretRef | None) -> Snapshot:
        """Find the commit that a revision (branch, tag, commit; None: the default) means now.

        `location` is the catalog's source without its revision. Raises SourceError, AccessError or
        SourceUnavailableError.
        """


def is_never_published(path: str) -> bool:
    """Whether a file is what a tool keeps beside weights, such as `.git/`, and no part of them."""
    parts = path.split("/")
    return not _TOOLS.isdisjoint(parts) or ".cache/huggingface" in "/".join(parts[:-1])


def commit_of(rows: Iterable[Row]) -> str:
    """A commit of what was listed: sha256 (hex) over one JSON line per file, in order of path.

    The content's name is what the source vouches for: a sha256, an entity tag.
    """
    lines = (json.dumps(row, ensure_ascii=True, separators=(",", ":")) for row in sorted(rows))
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def check_pin(location: str, pinned: str | None, listed: str) -> None:
    """Raise SourceError when the catalog pins another listing than the source has now."""
    if pinned is not None and pinned != listed:
        raise SourceError(
            f"{location}@{pinned}: the source has moved on: it is {listed} now. Bring back what was pinned, "
            f"or pin @{listed}."
        )

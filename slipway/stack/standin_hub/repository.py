"""A repository of the stand-in hub: commits over files that lie on disk.

Belongs here: files with their digests, commits and refs, and how a repository is described.
Does not: serving them (api.py, cdn.py), or what the demo's repositories hold (demo.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.stack.standin_hub import git_ids

# What the Hub's default .gitattributes sends to LFS, as far as Slipway's repositories need it.
LFS_SUFFIXES = frozenset({".bin", ".gguf", ".onnx", ".pt", ".safetensors"})
LFS_FROM_BYTES = 10 * 2**20


@dataclass(frozen=True)
class HubFile:
    """One file of one commit. `sha256` names the content; `blob_id` is the pointer's for an LFS file."""

    location: Path
    size_bytes: int
    sha256: str
    blob_id: str
    lfs: bool

    @property
    def etag(self) -> str:
        """The entity tag that the Hub gives: sha256 of an LFS file, git blob id of any other."""
        return self.sha256 if self.lfs else self.blob_id


@dataclass(frozen=True)
class Commit:
    """One commit: its id and its files by path."""

    id: str
    files: Mapping[str, HubFile]


@dataclass
class Repository:
    """A model repository. Gated: anyone may list it, files need one of `tokens`.

    `strangers` are tokens that are valid, but not admitted here.
    """

    id: str
    gated: bool = False
    tokens: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    licence: str | None = None
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, Path], *, message: str = "Add files", ref: str = "main") -> Commit:
        """Add a commit that holds exactly these files, on top of `ref`, and move `ref` to it."""
        described = {path: describe(location, path) for path, location in sorted(files.items())}
        tree = git_ids.tree_id({path: file.blob_id for path, file in described.items()})
        commit = Commit(git_ids.commit_id(tree, self.refs.get(ref), message), described)
        self.commits[commit.id] = commit
        self.refs[ref] = commit.id
        return commit

    def commit_directory(self, directory: Path, *, message: str = "Add files", ref: str = "main") -> Commit:
        """Add a commit that holds every regular file under the directory."""
        files = (path for path in directory.rglob("*") if path.is_file())
        return self.commit({p.relative_to(directory).as_posix(): p for p in files}, message=message, ref=ref)

    def find(self, revision: str) -> Commit | None:
        """The commit of a branch, a tag, a commit id or its unambiguous beginning (7 hex digits or more)."""
        revision = self.refs.get(revision, revision)
        if len(revision) < 7:
            return None
        matching = [commit for oid, commit in self.commits.items() if oid.startswith(revision)]
        return matching[0] if len(matching) == 1 else None


def describe(location: Path, path: str) -> HubFile:
    """Read a file once for its size and digests; large and binary files become LFS files."""
    size_bytes = location.stat().st_size
    lfs = size_bytes >= LFS_FROM_BYTES or Path(path).suffix in LFS_SUFFIXES
    if lfs:
        sha256 = _sha256(location)
        blob = git_ids.blob_id(git_ids.lfs_pointer(sha256, size_bytes))
    else:
        content = location.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        blob = git_ids.blob_id(content)
    return HubFile(location, size_bytes, sha256, blob, lfs)


def _sha256(location: Path) -> str:
    with location.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""Git object ids: blobs, trees, commits and git-lfs pointers, as git itself would name them.

Belongs here: the encodings of https://git-scm.com/book/en/v2/Git-Internals-Git-Objects and the LFS pointer.
Does not: storing objects; only their names are needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

# A fixed author and date, so that the same files give the same commit for ever.
AUTHOR = "Slipway stand-in hub <standin-hub@slipway.invalid> 1704067200 +0000"


def blob_id(content: bytes) -> str:
    """sha1 (hex) of a blob."""
    return _object_id("blob", content)


def lfs_pointer(sha256: str, size_bytes: int) -> bytes:
    """The text that git stores in place of a large file (git-lfs specification v1)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size_bytes}\n".encode()


def tree_id(blobs: Mapping[str, str]) -> str:
    """sha1 (hex) of the tree that holds these blobs; keys are paths with `/`, values are blob ids."""
    entries: list[tuple[str, str, str]] = []
    folders: dict[str, dict[str, str]] = {}
    for path, blob in blobs.items():
        first, _, rest = path.partition("/")
        if rest:
            folders.setdefault(first, {})[rest] = blob
        else:
            entries.append((first, "100644", blob))
    entries += [(folder, "40000", tree_id(inside)) for folder, inside in folders.items()]
    # Git sorts a folder as if its name ended with a slash.
    entries.sort(key=lambda entry: (entry[0] + "/" if entry[1] == "40000" else entry[0]).encode())
    content = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(oid) for name, mode, oid in entries)
    return _object_id("tree", content)


def commit_id(tree: str, parent: str | None, message: str) -> str:
    """sha1 (hex) of a commit by the fixed author at the fixed date."""
    lines = [
        f"tree {tree}",
        *([f"parent {parent}"] if parent else []),
        f"author {AUTHOR}",
        f"committer {AUTHOR}",
    ]
    return _object_id("commit", ("\n".join(lines) + f"\n\n{message}\n").encode())


def _object_id(kind: str, content: bytes) -> str:
    # Git's object names are sha1 by definition; nothing here relies on it for security.
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()

"""Digests over bytes that arrive in pieces.

Belongs here: sha256 and git's blob id, side by side. Does not: deciding what a mismatch means.
"""

from __future__ import annotations

import hashlib

from slipway.artifacts.source import Digest


class RunningDigest:
    """sha256 of a stream and, where the source names its files so, git's blob id as well."""

    def __init__(self, size_bytes: int, expected: Digest) -> None:
        self._expected = expected
        self._sha256 = hashlib.sha256()
        self._git = None
        if expected.algorithm == "git-blob-sha1":
            # Git names a blob by sha1; it proves what the hub listed, and sha256 goes into the manifest.
            self._git = hashlib.sha1(f"blob {size_bytes}\0".encode(), usedforsecurity=False)

    def update(self, piece: memoryview | bytes) -> None:
        """Add the next bytes, in order."""
        self._sha256.update(piece)
        if self._git is not None:
            self._git.update(piece)

    @property
    def sha256(self) -> str:
        """sha256 (hex) so far."""
        return self._sha256.hexdigest()

    @property
    def found(self) -> Digest:
        """The digest so far, by the source's algorithm."""
        found = self._sha256 if self._git is None else self._git
        return Digest(self._expected.algorithm, found.hexdigest())

"""Digests over bytes that arrive in pieces.

Belongs here: sha256 beside what the source names its files by. Does not: deciding what a mismatch means.
"""

from __future__ import annotations

import hashlib

from slipway.artifacts.source import Digest


class RunningDigest:
    """sha256 of a stream and, where the source names its files so, git's blob id or md5 as well."""

    def __init__(self, size_bytes: int, expected: Digest | None) -> None:
        self._expected = expected
        self._sha256 = hashlib.sha256()
        self._other = None
        # Both prove what the source listed, and nothing more: sha256 goes into the manifest.
        if expected is not None and expected.algorithm == "git-blob-sha1":
            self._other = hashlib.sha1(f"blob {size_bytes}\0".encode(), usedforsecurity=False)
        elif expected is not None and expected.algorithm == "md5":
            self._other = hashlib.md5(usedforsecurity=False)

    def update(self, piece: memoryview | bytes) -> None:
        """Add the next bytes, in order."""
        self._sha256.update(piece)
        if self._other is not None:
            self._other.update(piece)

    @property
    def sha256(self) -> str:
        """sha256 (hex) so far."""
        return self._sha256.hexdigest()

    @property
    def so_far(self) -> Digest | None:
        """The digest so far, by the source's algorithm; None where the source gives none to compare with."""
        if self._expected is None:
            return None
        return Digest(self._expected.algorithm, (self._other or self._sha256).hexdigest())

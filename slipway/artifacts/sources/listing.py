"""Commits for sources that have none: the digest of what was listed.

Belongs here: making such a commit, and comparing it with the one that the catalog pins.
Does not: listing (ngc.py, s3_source.py, file_source.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from slipway.artifacts.errors import SourceError

Row = tuple[str, int, str]


def commit_of(rows: Iterable[Row]) -> str:
    """sha256 (hex) over one JSON line per file, in order of path: its path, size in bytes, content's name.

    The content's name is what the source vouches for: a sha256, an entity tag.
    """
    lines = (json.dumps(row, ensure_ascii=True, separators=(",", ":")) for row in sorted(rows))
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def check_pin(location: str, pinned: str | None, found: str) -> None:
    """Raise SourceError when the catalog pins another listing than the source has now."""
    if pinned is not None and pinned != found:
        raise SourceError(
            f"{location}@{pinned}: the source has moved on: it is {found} now. Bring back what was pinned, "
            f"or pin @{found}."
        )

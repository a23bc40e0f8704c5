"""What a GGUF file says of itself in its first bytes.

Belongs here: its magic number (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
Does not: reading files, or its tensors.
"""

from __future__ import annotations

_MAGIC = b"GGUF"


def needed_bytes(head: bytes, size_bytes: int) -> int:
    """How many of the file's first bytes `problem` must see."""
    return min(len(_MAGIC), size_bytes)


def problem(head: bytes, size_bytes: int) -> str | None:
    """Why these first bytes cannot begin a GGUF file; None when they can."""
    first = head[: len(_MAGIC)]
    return None if first == _MAGIC else f"it begins with {first!r}, not with GGUF"

"""What was sent to an API server against what it kept of it.

Belongs here: the comparison. Does not: sending.
"""

from collections.abc import Iterator
from typing import Any

from slipway.catalog.fields import cpu_in_millicores, size_in_bytes


def lost(sent: Any, kept: Any, path: str = "") -> Iterator[str]:
    """Paths that were sent and are not kept; what the server adds by itself does not count."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        for name, value in sent.items():
            if name in kept:
                yield from lost(value, kept[name], f"{path}.{name}")
            elif value not in ({}, [], None):
                yield f"{path}.{name}: sent {value!r}, not kept"
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        for n, (mine, theirs) in enumerate(zip(sent, kept, strict=True)):
            yield from lost(mine, theirs, f"{path}[{n}]")
    elif not same(sent, kept):
        yield f"{path}: sent {sent!r}, kept {kept!r}"


def same(sent: Any, kept: Any) -> bool:
    """Equal, or two ways to write one quantity."""
    if sent == kept or (isinstance(sent, int) and str(sent) == kept):
        return True
    for amount in (cpu_in_millicores, size_in_bytes):
        try:
            return amount(str(sent)) == amount(str(kept))
        except ValueError:
            continue
    return False

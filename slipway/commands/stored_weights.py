"""What `slipway weights list` says of one commit in the store, published or still arriving.

Belongs here: the words, and the bytes of files on their way. Does not: commands (weights.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.objectstore import ObjectStore


def line(row: Mapping[str, Any], kind: str | None) -> str:
    """One commit. One that is not published is a pull that has not ended; `kind` is what the catalog says
    that its name is, None where it names no such thing.
    """
    name, named = row["name"], ", ".join(row["named_by"])
    size = f"{(row['bytes'] + row['arriving_bytes']) / 1e6:.1f} MB"
    start = f"{name}  {row['commit'][:8]}"
    if row["published_at"]:
        state = f"published {row['published_at'][:19]}  {named or 'nobody names it'}"
        return f"{start}  {row['source']}  {row['files']} files  {size}  {state}"
    state = f"a pull that has not ended: {row['files']} files whole, {size} so far"
    if kind is None:
        return f"{start}  {state}  {named or 'nobody names it'}"
    of = named or f"{kind} {name} of the catalog"
    return f"{start}  {state}  {of}; `slipway weights pull {name}` goes on"


def arrived(store: ObjectStore) -> dict[str, int]:
    """Bytes of files that are on their way, by the key prefix of their commit."""
    from slipway.artifacts.transfer.uploads import Uploads

    uploads = Uploads(store)
    sizes: dict[str, int] = {}
    for upload in uploads.unfinished("weights/"):
        prefix = "/".join(upload.key.split("/")[:3]) + "/"
        parts = uploads.with_parts(upload).parts
        sizes[prefix] = sizes.get(prefix, 0) + sum(part.size_bytes for part in parts)
    return sizes

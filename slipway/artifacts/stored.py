"""Reading objects back from the store: streamed, continued after a broken connection, digested.

Belongs here: one object at a time. Does not: judging what was found (weights.py, node_cache.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from slipway.artifacts.source import Count
from slipway.objectstore import ObjectStore, ObjectStoreError

_CHUNK_BYTES = 2**20
_ATTEMPTS = 4


def stream(store: ObjectStore, key: str, size_bytes: int) -> Iterator[bytes]:
    """Yield the object's bytes in order, until its end; nothing is asked for when it should be empty.

    Raises ObjectStoreError when it is missing, or after several attempts to go on from where it broke off.
    """
    at, failed = 0, 0
    while at < size_bytes:
        try:
            for piece in _pieces(store, key, at):
                at += len(piece)
                yield piece
            return
        except ObjectStoreError:
            failed += 1
            if failed == _ATTEMPTS or at == 0:
                raise


def sha256_of(store: ObjectStore, key: str, size_bytes: int, count: Count) -> tuple[int, str]:
    """(bytes read, sha256) of the whole object, whose size should be `size_bytes`."""
    digest, read = hashlib.sha256(), 0
    for piece in stream(store, key, size_bytes):
        digest.update(piece)
        read += len(piece)
        count(len(piece))
    return read, digest.hexdigest()


def _pieces(store: ObjectStore, key: str, offset: int) -> Iterator[bytes]:
    with store.explained(f"read {key}"):
        reply = store.client.get_object(Bucket=store.location.bucket, Key=key, Range=f"bytes={offset}-")
        with reply["Body"] as body:
            while piece := body.read(_CHUNK_BYTES):
                yield piece

"""Reading objects back from the store: streamed, continued after a broken connection, digested.

Belongs here: one object at a time.
Does not: judging what was found (weights/delivery.py, weights/verification.py, node/cache.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from slipway.artifacts.source import Count
from slipway.artifacts.transfer.connections import hand_back
from slipway.artifacts.transfer.retry import TransientError
from slipway.artifacts.transfer.store_answers import broken, refuse
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
            for piece in _pieces(store, key, f"bytes={at}-"):
                at += len(piece)
                yield piece
            return
        except TransientError as error:
            failed += 1
            if failed == _ATTEMPTS or at == 0:
                raise ObjectStoreError(f"{error} Run this again.", unreachable=True) from error


def sha256_of(store: ObjectStore, key: str, size_bytes: int, count: Count) -> tuple[int, str]:
    """(bytes read, sha256) of the whole object, whose size should be `size_bytes`."""
    digest, read = hashlib.sha256(), 0
    for piece in stream(store, key, size_bytes):
        digest.update(piece)
        read += len(piece)
        count(len(piece))
    return read, digest.hexdigest()


def read_range(store: ObjectStore, key: str, offset: int, length: int) -> bytes:
    """These bytes of the object. Raises ObjectStoreError."""
    if not length:
        return b""
    try:
        return b"".join(_pieces(store, key, f"bytes={offset}-{offset + length - 1}"))
    except TransientError as error:
        raise ObjectStoreError(f"{error} Run this again.", unreachable=True) from error


def _pieces(store: ObjectStore, key: str, asked: str) -> Iterator[bytes]:
    """Raises TransientError, or ObjectStoreError with its remedy."""
    import urllib3

    action = f"read {key}"
    try:
        reply: Any = store.presigned("GET", key, headers={"Range": asked}, stream=True)
        try:
            if reply.status not in {200, 206}:
                reply.read()
                refuse(store, action, reply)
            while piece := reply.read(_CHUNK_BYTES, decode_content=False):
                yield piece
            if reply.length_remaining:
                raise TransientError(f"{action}: the store broke off.")
        finally:
            hand_back(reply)
    except urllib3.exceptions.HTTPError as error:
        raise broken(store, action, error) from error

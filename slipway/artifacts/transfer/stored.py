"""Reading objects back from the store: streamed, continued after a broken connection, digested.

Belongs here: one object at a time.
Does not: judging what was found (weights/delivery.py, weights/verification.py, node/cache.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from slipway.artifacts.source import Count
from slipway.artifacts.transfer.connections import hand_back, origin
from slipway.artifacts.transfer.pace import Pace, Paced
from slipway.artifacts.transfer.retry import TransientError
from slipway.artifacts.transfer.store_answers import broken, refuse
from slipway.objectstore import ObjectStore, ObjectStoreError

_CHUNK_BYTES = 2**18


def stream(store: ObjectStore, key: str, size_bytes: int) -> Iterator[bytes]:
    """Yield the object's bytes in order, until its end; nothing is asked for when it should be empty.

    Raises ObjectStoreError when it is missing, or after several attempts to go on from where it broke off.
    """
    at, waits = 0, store.waits()
    while at < size_bytes:
        began = at
        try:
            for piece in _pieces(store, key, at, None):
                at += len(piece)
                yield piece
            return
        except TransientError as error:
            if at - began >= _CHUNK_BYTES:
                waits = store.waits()  # it came on: what fails from now on is another failure
            if not waits.again(str(error), passing=error.passing):
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
    waits = store.waits()
    while True:
        try:
            return b"".join(_pieces(store, key, offset, length))
        except TransientError as error:
            if not waits.again(str(error), passing=error.passing):
                raise ObjectStoreError(f"{error} Run this again.", unreachable=True) from error


def _pieces(store: ObjectStore, key: str, offset: int, length: int | None) -> Iterator[bytes]:
    """From a byte on, so many or to the end. Raises TransientError, or ObjectStoreError with its remedy."""
    import urllib3

    action, paced = f"read {key}", Paced(Pace())
    asked = f"bytes={offset}-{'' if length is None else offset + length - 1}"
    try:
        reply: Any = store.presigned("GET", key, headers={"Range": asked}, stream=True)
        try:
            if reply.status not in {200, 206}:
                reply.read()
                refuse(store, action, reply)
            skip = offset if reply.status == 200 else 0  # it sends all, whatever was asked for
            left = length
            while (left is None or left > 0) and (piece := reply.read1(_CHUNK_BYTES, decode_content=False)):
                paced.moved(len(piece), f"{action}: from {origin(store.location.endpoint_url)}")
                skipped, skip = piece[skip:], max(0, skip - len(piece))
                piece = skipped if left is None else skipped[:left]
                if piece:
                    left = None if left is None else left - len(piece)
                    yield piece
            if left or (left is None and reply.length_remaining):
                raise TransientError(f"{action}: the store broke off.")
        finally:
            hand_back(reply)
    except urllib3.exceptions.HTTPError as error:
        raise broken(store, action, error) from error

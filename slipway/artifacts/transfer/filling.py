"""Reading an HTTP answer into a buffer that is used again: no new memory for each piece, which costs most.

Belongs here: one read, whatever stands between urllib3 and the socket. Does not: whose bytes they are
(ranged.py, slipway.artifacts.images.blobs).

A piece of fresh bytes is memory that the kernel maps and clears first: for large bodies that is dearer than
receiving or digesting them. urllib3 hands out nothing else, but http.client beneath it fills a buffer.
"""

from __future__ import annotations

import http.client
from typing import Any

from slipway.artifacts.transfer.connections import cause
from slipway.artifacts.transfer.retry import TransientError


def fill(reply: Any, buffer: memoryview, what: str) -> int:
    """Fill the buffer as far as the answer goes; returns the bytes that came, 0 at its end.

    `reply` is urllib3's, its body unread and not encoded. Raises TransientError when the network fails.
    """
    import urllib3

    beneath = getattr(reply, "_fp", None)
    try:
        sized = reply.length_remaining is not None and not reply.chunked
        if not sized or not isinstance(beneath, http.client.HTTPResponse):
            piece = reply.read(len(buffer), decode_content=False)
            buffer[: len(piece)] = piece
            return len(piece)
        count = beneath.readinto(buffer)
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        raise TransientError(f"{what}: {cause(error)}.") from error
    reply.length_remaining -= count
    return count

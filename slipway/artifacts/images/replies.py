"""A registry's answer, read: bodies in bounds, connections kept for the next request.

Belongs here: what is done with an answer whatever was asked. Does not: judging it (answers.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.artifacts.images.manifests import INDEXES
from slipway.artifacts.images.registry_answers import LARGEST_MANIFEST_BYTES
from slipway.artifacts.images.transport import cause
from slipway.artifacts.transfer.retry import TransientError


@dataclass(frozen=True)
class Reply:
    """A small answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read_body(what: str, reply: Any) -> bytes:
    """The body, up to one byte more than a manifest may have; raises TransientError when it breaks off."""
    import urllib3

    try:
        return bytes(reply.read(LARGEST_MANIFEST_BYTES + 1, decode_content=False))
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(f"{what}: the answer broke off: {cause(error)}.") from error


def hand_back(reply: Any) -> None:
    """Keep the connection where nothing of the answer is left in it."""
    if reply.length_remaining == 0 and not reply.chunked:
        reply.release_conn()
    else:
        reply.close()


def referrers_in(reply: Reply | None) -> list[dict[str, Any]] | None:
    """The descriptors of a list of referrers; None when the answer is something else."""
    if reply is None or reply.headers.get("Content-Type", "").partition(";")[0].strip() != INDEXES[0]:
        return None
    try:
        return [each for each in json.loads(reply.body).get("manifests") or [] if isinstance(each, dict)]
    except (ValueError, AttributeError):
        return None

"""The salt of an organization's prompts, by which an engine's cache of prefixes tells none of another.

Belongs here: the salt, and whose it is in a request.
Does not: which engines take one (slipway.catalog.servers).
vLLM takes a text of at most 128 characters (its `cache_salt`); two salts never share a cached prefix.
"""

from __future__ import annotations

import functools
import hashlib

from slipway.gateway.api.bodies import Body

FIELD = "cache_salt"
_MOST_ORGS = 10_000  # remembered, not known


def put(body: Body, org: str | None) -> None:
    """Write the organization's salt, or none; a client's own goes in any case."""
    body.pop(FIELD, None)
    if org is not None:
        body[FIELD] = of(org)


@functools.lru_cache(_MOST_ORGS)
def of(org: str) -> str:
    """The same for all requests of an organization at every gateway; who chooses his own cannot know it."""
    return hashlib.sha256(f"slipway cache_salt\0{org}".encode()).hexdigest()

"""The salt of an organization's prompts, by which an engine's cache of prefixes tells none of another.

Belongs here: the salt, and which requests carry it. Does not: which engines take one
(slipway.catalog.servers), turning a cache off where none is taken (slipway.runtimes).

An engine that finds the beginning of a prompt in its cache answers sooner, which tells whoever asks what
others have asked. vLLM takes a text of at most 128 characters (its `cache_salt`); two salts never share a
cached prefix.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from slipway.gateway.request.parse import Asked
from slipway.records.routes import Route

FIELD = "cache_salt"
_PURPOSE = b"slipway cache_salt\0"
_UNITS_OF_PROMPTS = frozenset({"tokens", "documents"})
_MOST_ORGS = 10_000  # remembered, not known


class Salts:
    """Salts by organization.

    A salt is the HMAC-SHA256 of the organization's name, keyed with the operator's token
    (SLIPWAY_GATEWAY_TOKEN), so all replicas that share it agree, also after a restart; nobody without the
    token can make one, or tell whose it is. With a new token every cache begins anew.
    """

    def __init__(self, token: str) -> None:
        self._key = token.encode()
        self.of = lru_cache(_MOST_ORGS)(self._of)

    def put(self, asked: Asked, route: Route, org: str) -> None:
        """Write the organization's into a prompt for an engine that takes it. A client's own always goes."""
        asked.body.pop(FIELD, None)
        if route.salts_prompts and asked.operation.unit in _UNITS_OF_PROMPTS:
            asked.body[FIELD] = self.of(org)

    def _of(self, org: str) -> str:
        return hmac.new(self._key, _PURPOSE + org.encode(), hashlib.sha256).hexdigest()

"""API keys in memory, following the tenants' database; and the operator's token.

Belongs here: looking a request's key up, and keeping the table fresh.
Does not: making or revoking keys (slipway.tenants).

The table is looked up by the SHA-256 of the secret that was sent. How long that takes depends on the
digest, which a caller cannot steer towards a stored one, so it tells nothing about stored keys.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from slipway.gateway.api import errors
from slipway.tenants.database import KeyRecord, TenantsDatabase, digest

# Two polls and a reload fit in the second after which a new key must work.
POLL_S = 0.25

_BEARER = b"bearer "


class KeyFollower:
    """All usable keys. `poll` asks the database's change counter and reads the keys when it moved.

    While the database is down the table stays as it is. The table is replaced as a whole, so readers in other
    threads see the old one or the new one.
    """

    def __init__(self, database: TenantsDatabase) -> None:
        self._database = database
        self._changes: int | None = None
        self._keys: dict[bytes, KeyRecord] = {}

    @property
    def loaded(self) -> bool:
        """Whether the keys have been read since the start."""
        return self._changes is not None

    def poll(self) -> None:
        """Follow the database. Raises TenantsDatabaseError."""
        changes = self._database.changes()
        if changes == self._changes:
            return
        # The counter first: keys that change meanwhile are read again by the next poll.
        records = self._database.keys()
        self._keys = {record.sha256: record for record in records if record.usable}
        self._changes = changes

    def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> KeyRecord:
        """The key that a request came with; raises ApiError (401, or 503 before the first load)."""
        secret = bearer(headers)
        key = self._keys.get(digest(secret)) if secret else None
        if key is not None:
            return key
        raise errors.unauthorized() if self.loaded else errors.keys_not_loaded()


def is_operator(headers: Iterable[tuple[bytes, bytes]], token: str) -> bool:
    """Whether a request carries the operator's token."""
    sent = bearer(headers)
    return sent is not None and hmac.compare_digest(sent.encode(), token.encode())


def bearer(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The secret of `Authorization: Bearer ...`, or None."""
    for name, value in headers:
        if name == b"authorization":
            if value[: len(_BEARER)].lower() == _BEARER:
                return value[len(_BEARER) :].strip().decode("latin-1") or None
            return None
    return None

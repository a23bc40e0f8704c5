"""Secrets of keys: made, shown once, and kept as their SHA-256 alone.

Belongs here: what a secret looks like, and what of it is kept. Does not: the keys (keys.py, admin_keys.py).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime

SECRET_PREFIX = "sk-slipway-"  # noqa: S105 - the part that is no secret
ADMIN_SECRET_PREFIX = "sk-slipway-admin-"  # noqa: S105
_SECRET_BYTES = 32
_SHOWN_CHARACTERS = 4


@dataclass(frozen=True)
class NewKey:
    """A key just made. `secret` is shown once and stored nowhere."""

    secret: str = field(repr=False)
    id: str
    created_at: datetime
    expires_at: datetime | None

    @classmethod
    def make(cls, prefix: str, now: datetime, expires_at: datetime | None) -> NewKey:
        """An id, and a secret of 256 random bits."""
        secret = prefix + secrets.token_urlsafe(_SECRET_BYTES)
        return cls(secret, f"key_{secrets.token_hex(8)}", now, expires_at)

    def kept(self, prefix: str) -> dict[str, object]:
        """The columns that are stored of it."""
        return {
            "id": self.id,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "sha256": digest(self.secret),
            "prefix": self.secret[: len(prefix) + _SHOWN_CHARACTERS],
        }


def digest(secret: str) -> bytes:
    """SHA-256 of a key's secret. A plain hash is enough: 256 random bits cannot be guessed from it."""
    return hashlib.sha256(secret.encode()).digest()


def redacted(prefix: str) -> str:
    """What is shown of a secret from what is kept of it."""
    return f"{prefix}..."


class KeyStanding:
    """What follows from what is stored of any key, an API key or an admin key."""

    prefix: str
    expires_at: datetime | None
    revoked_at: datetime | None
    org_active: bool

    @property
    def usable(self) -> bool:
        """Whether it opens anything until it expires: not revoked, its organization is in the catalog."""
        return self.revoked_at is None and self.org_active

    @property
    def redacted_value(self) -> str:
        """What is shown of its secret."""
        return redacted(self.prefix)

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now

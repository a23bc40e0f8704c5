"""API keys in memory, following the tenants' database; and the operator's token.

Belongs here: looking a request's key up, whether it may do what is asked, and keeping the table fresh.
Does not: making or revoking keys (slipway.tenants), what an admin key opens.

The table is looked up by the SHA-256 of the secret that was sent. How long that takes depends on the
digest, which a caller cannot steer towards a stored one, so it tells nothing about stored keys.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from slipway.gateway.admission.key_copy import KeyCopy
from slipway.gateway.admission.last_uses import LastUses
from slipway.gateway.api import errors
from slipway.gateway.telemetry import log
from slipway.tenants import admin_keys, keys
from slipway.tenants.admin_keys import AdminKeyRecord
from slipway.tenants.database import KeyRecord, TenantsDatabase, TenantsDatabaseError, digest

# Two polls and a reload fit in the second after which a new key must work.
POLL_S = 0.25
# Between copies: one of 10,000 keys costs as much as reading them, and keys may change with every poll.
COPY_S = 5.0

_BEARER = b"bearer "


class KeyFollower:
    """All usable keys. `poll` asks the database's change counter and reads the keys when it moved.

    While the database is down the tables stay as they are, and keys expire by the clock all the same. A table
    is replaced as a whole, so readers in other threads see the old one or the new one.

    With a copy, keys that were read are written to it; it serves where the database is away at the start.
    """

    def __init__(self, database: TenantsDatabase, copy: KeyCopy | None = None) -> None:
        self._database = database
        self._copy = copy
        self._copied_at: datetime | None = None
        self._asked = False
        self._is_copied = True
        self._copy_due = 0.0
        self.uses = LastUses()
        self._polled_at = _now()
        self._changes: int | None = None
        self._keys: dict[bytes, KeyRecord] = {}
        self._admin_keys: dict[bytes, AdminKeyRecord] = {}

    @property
    def loaded(self) -> bool:
        """Whether there are keys to serve by: read since the start, or from the copy."""
        return self._changes is not None or self._copied_at is not None

    @property
    def copied_at(self) -> datetime | None:
        """When the keys in use were written down, where the database has not been read since the start."""
        return self._copied_at if self._changes is None else None

    def poll(self) -> None:
        """Follow the database. Raises TenantsDatabaseError."""
        self._polled_at = _now()
        try:
            self._follow()
            self._write_copy()
        except TenantsDatabaseError:
            # Not before: a key that was revoked while this replica was down has no moment in which it works.
            if not self._asked:
                self._read_copy()
            raise
        finally:
            self._asked = True

    def _follow(self) -> None:
        changes = self._database.changes()
        if changes == self._changes:
            return
        # The counter first: keys that change meanwhile are read again by the next poll.
        self._database.catch_up()
        records, admin_records = keys.usable(self._database), admin_keys.usable(self._database)
        self._use(records, admin_records)
        self._changes = changes
        self._is_copied = False

    def _write_copy(self) -> None:
        now = time.monotonic()
        if self._copy is not None and not self._is_copied and now >= self._copy_due:
            self._copy.write(self._keys.values(), self._admin_keys.values())
            self._is_copied, self._copy_due = True, now + COPY_S

    def _read_copy(self) -> None:
        copied = self._copy.read() if self._copy is not None else None
        if copied is None:
            return
        self._use(copied.keys, copied.admin_keys)
        self._copied_at = copied.written_at
        log.write(
            "warning", "keys from this replica's disk", keys=len(copied.keys), of=str(copied.written_at)
        )

    def _use(self, records: Iterable[KeyRecord], admin_records: Iterable[AdminKeyRecord]) -> None:
        self._keys = {record.sha256: record for record in records}
        self._admin_keys = {record.sha256: record for record in admin_records}

    def authenticate(self, headers: Iterable[tuple[bytes, bytes]], own_header: bytes = b"") -> KeyRecord:
        """The key that a request came with; raises ApiError (401, or 503 while there are no keys).

        `own_header` is where the API that it asks for has it, where that is not `Authorization`, too.
        """
        secret = bearer(headers) or (own_header and _value(headers, own_header))
        key = self._keys.get(digest(secret)) if secret else None
        if key is not None and not _is_over(key.expires_at):
            self.uses.seen[key.id] = self._polled_at  # near enough, and no clock to ask
            return key
        raise errors.unauthorized() if self.loaded else errors.keys_not_loaded()

    def authenticate_admin(self, headers: Iterable[tuple[bytes, bytes]]) -> AdminKeyRecord:
        """The admin key that a request came with; raises ApiError as `authenticate` does.

        An API key is told that it is none.
        """
        secret = bearer(headers)
        sha256 = digest(secret) if secret else b""
        key = self._admin_keys.get(sha256)
        if key is not None and not _is_over(key.expires_at):
            self.uses.seen[key.id] = self._polled_at
            return key
        other = self._keys.get(sha256)
        if other is not None and not _is_over(other.expires_at):
            raise errors.not_an_admin_key()
        raise errors.unauthorized() if self.loaded else errors.keys_not_loaded()


def permits(key: KeyRecord, deployment: str, task: str) -> bool:
    """Whether a key may be used for a deployment and its task; to it no other exists."""
    return (key.deployments is None or deployment in key.deployments) and (
        key.tasks is None or task in key.tasks
    )


def _is_over(expires_at: datetime | None) -> bool:
    return expires_at is not None and expires_at <= _now()


def _now() -> datetime:
    return datetime.now(UTC)


def _value(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.strip().decode("latin-1") for header, value in headers if header == name), None)


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

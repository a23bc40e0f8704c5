"""How far the tenants' database had come when it was last looked at, so that one that was lost is noticed.

Belongs here: the mark, its object, what a database lacks of it.
Does not: the database (slipway.tenants), when it is looked at (slipway.control.tenancy).

Rows of that database are never removed: an organisation that leaves is inactive, a revoked key stays. One
with less than the mark was lost, emptied, or restored from an older backup.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.objectstore import ObjectStore

KEY = "tenants/mark.json"


@dataclass(frozen=True)
class TenantsMark:
    """When the first organisation came, how many users and keys there are, and how many changes were made."""

    began_at: datetime
    users: int
    keys: int
    changes: int

    def lacking(self, now: TenantsMark | None) -> str | None:
        """What a database lacks that had come this far; None for one that goes on from here."""
        if now is None:
            return "has no organisations any more"
        if now.began_at > self.began_at:
            return f"was made anew at {_text(now.began_at)}, and has {now.users} users and {now.keys} keys"
        if now.users < self.users or now.keys < self.keys or now.changes < self.changes:
            return f"is an older one, with {now.users} users and {now.keys} keys"
        return None

    def encode(self) -> bytes:
        """The object."""
        numbers = {"users": self.users, "keys": self.keys, "changes": self.changes}
        return json.dumps({"began_at": _text(self.began_at), **numbers}).encode()

    @classmethod
    def decode(cls, body: bytes) -> TenantsMark:
        """From the object; raises ValueError for anything else."""
        try:
            document = json.loads(body)
            began_at = datetime.fromisoformat(document["began_at"])
            numbers = {name: int(document[name]) for name in ("users", "keys", "changes")}
        except (KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        if began_at.tzinfo is None:
            raise ValueError(f"began_at = {document['began_at']}: without a time zone")
        return cls(began_at, **numbers)


def read(store: ObjectStore) -> TenantsMark | None:
    """The mark; None before the first. Raises ValueError, naming the object, for one that cannot be read."""
    body = store.get(KEY)
    if body is None:
        return None
    try:
        return TenantsMark.decode(body)
    except ValueError as error:
        raise ValueError(
            f"{KEY} in bucket {store.location.bucket} cannot be read: {error}. "
            "`slipway tenants accept` writes it anew from the database as it is."
        ) from error


def write(store: ObjectStore, mark: TenantsMark | None) -> None:
    """Replace the mark; None removes it."""
    if mark is None:
        store.delete(KEY)
    else:
        store.put(KEY, mark.encode(), content_type="application/json")


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")

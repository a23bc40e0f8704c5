"""Admin keys of the organization.

Belongs here: handlers, an admin key as OpenAI writes it. Does not: API keys (key_calls.py).

A key that is made belongs to the owner whose key made it.
"""

from __future__ import annotations

from typing import Any

from slipway.gateway.admin.asked import Asked, epoch
from slipway.gateway.admin.key_calls import expiry_of
from slipway.gateway.admin.paging import Listing, cursor_of
from slipway.gateway.api.parameters import LONGEST_NAME, required
from slipway.tenants import admin_keys, users
from slipway.tenants.admin_keys import AdminKeyRecord
from slipway.tenants.users import UserRecord


def create(asked: Asked) -> dict[str, Any]:
    """POST admin_api_keys."""
    fields = asked.fields("name", "expires_in_seconds")
    name = required(fields.text("name", LONGEST_NAME), "name")
    expires_at = expiry_of(asked, fields)
    key = admin_keys.create(asked.database, asked.org, asked.user, name, expires_at=expires_at)
    kept = admin_keys.one(asked.database, key.id, org=asked.org)
    return {**_written(kept, _owners(asked)), "value": key.secret}


def listed(asked: Asked) -> dict[str, Any]:
    """GET admin_api_keys."""
    cursor = cursor_of(asked.parameters)
    of_org = admin_keys.all_of(asked.database, asked.org)
    listing = Listing(of_org, lambda key: key.id, lambda key: key.revoked_at is None)
    owners = _owners(asked)
    return listing.page(cursor, lambda key: _written(key, owners))


def retrieve(asked: Asked) -> dict[str, Any]:
    """GET admin_api_keys/*."""
    key = admin_keys.one(asked.database, asked.ids[0], org=asked.org)
    if key.revoked_at is not None:
        raise asked.no_such()
    return _written(key, _owners(asked))


def delete(asked: Asked) -> dict[str, Any]:
    """DELETE admin_api_keys/*."""
    admin_keys.revoke(asked.database, asked.ids[0], org=asked.org)
    return {"id": asked.ids[0], "object": "organization.admin_api_key.deleted", "deleted": True}


def _owners(asked: Asked) -> dict[str, UserRecord]:
    return {user.name: user for user in users.all_of(asked.database, asked.org)}


def _written(key: AdminKeyRecord, owners: dict[str, UserRecord]) -> dict[str, Any]:
    owner = owners.get(key.user)
    return {
        "id": key.id,
        "object": "organization.admin_api_key",
        "name": key.label,
        "redacted_value": key.redacted_value,
        "created_at": epoch(key.created_at),
        "expires_at": epoch(key.expires_at),
        "last_used_at": epoch(key.last_used_at),
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": None if owner is None else owner.id,
            "name": key.user,
            "created_at": None if owner is None else epoch(owner.created_at),
            "role": "owner",
        },
    }

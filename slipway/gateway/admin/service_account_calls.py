"""Service accounts of a project, and making keys for them.

Belongs here: handlers, and what OpenAI writes of both. Does not: keys that are there (key_calls.py).

A key's secret is in the answer to its making, and nowhere else ever.
"""

from __future__ import annotations

from typing import Any

from slipway.gateway.admin.asked import Asked, epoch
from slipway.gateway.admin.key_calls import expiry_of, refuse_scopes
from slipway.gateway.admin.paging import Listing, cursor_of
from slipway.gateway.api.parameters import LONGEST_NAME, bad_parameter, required
from slipway.tenants import NewKey, keys, service_accounts
from slipway.tenants.service_accounts import ServiceAccountRecord


def create(asked: Asked) -> dict[str, Any]:
    """POST projects/*/service_accounts."""
    fields = asked.fields("name", "create_service_account_only", "expires_in_seconds")
    name = required(fields.text("name", LONGEST_NAME), "name")
    expires_at = expiry_of(asked, fields)
    if fields.flag("create_service_account_only"):
        if expires_at is not None:
            raise bad_parameter("expires_in_seconds", "No key is made that could expire. Leave it out.")
        account = service_accounts.create(asked.database, asked.org, asked.ids[0], name, role="none")
        return {**written(account), "api_key": None}
    account, key = service_accounts.create_with_key(
        asked.database, asked.org, asked.ids[0], name, expires_at=expires_at
    )
    return {**written(account), "api_key": _new_key(key, name)}


def create_key(asked: Asked) -> dict[str, Any]:
    """POST projects/*/service_accounts/*/api_keys."""
    project, account = asked.ids
    fields = asked.fields("name", "expires_in_seconds", "scopes")
    refuse_scopes(fields)
    name = fields.text("name", LONGEST_NAME) or ""
    expires_at = expiry_of(asked, fields)
    service_accounts.one(asked.database, asked.org, project, account)
    key = keys.create(asked.database, asked.org, account, name, project=project, expires_at=expires_at)
    return _new_key(key, name)


def listed(asked: Asked) -> dict[str, Any]:
    """GET projects/*/service_accounts."""
    cursor = cursor_of(asked.parameters)
    accounts = service_accounts.all_of(asked.database, asked.org, asked.ids[0], removed=True)
    listing = Listing(accounts, lambda account: account.id, lambda account: account.removed_at is None)
    return listing.page(cursor, written)


def retrieve(asked: Asked) -> dict[str, Any]:
    """GET projects/*/service_accounts/*."""
    return written(service_accounts.one(asked.database, asked.org, *asked.ids))


def update(asked: Asked) -> dict[str, Any]:
    """POST projects/*/service_accounts/*."""
    fields = asked.fields("name", "role")
    name, role = fields.text("name", LONGEST_NAME), fields.text("role", LONGEST_NAME)
    return written(service_accounts.change(asked.database, asked.org, *asked.ids, name=name, role=role))


def delete(asked: Asked) -> dict[str, Any]:
    """DELETE projects/*/service_accounts/*."""
    account = service_accounts.remove(asked.database, asked.org, *asked.ids)
    return {"id": account.id, "object": "organization.project.service_account.deleted", "deleted": True}


def written(account: ServiceAccountRecord) -> dict[str, Any]:
    """As OpenAI writes it."""
    return {
        "id": account.id,
        "object": "organization.project.service_account",
        "name": account.name,
        "role": account.role,
        "created_at": epoch(account.created_at),
    }


def _new_key(key: NewKey, name: str) -> dict[str, Any]:
    return {
        "id": key.id,
        "object": "organization.project.service_account.api_key",
        "name": name,
        "value": key.secret,
        "created_at": epoch(key.created_at),
        "expires_at": epoch(key.expires_at),
    }

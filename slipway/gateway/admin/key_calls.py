"""API keys of a project: listed, given another expiry, revoked.

Belongs here: handlers, a key as OpenAI writes it.
Does not: making keys (service_account_calls.py), admin keys (admin_key_calls.py).

A key that was deleted is revoked: its usage keeps its id.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from slipway.gateway.admin.asked import Asked, epoch
from slipway.gateway.admin.paging import Listing, cursor_of
from slipway.gateway.api.parameters import Fields, bad_parameter
from slipway.tenants import KeyRecord, keys, service_accounts, users
from slipway.tenants.service_accounts import ServiceAccountRecord
from slipway.tenants.users import UserRecord

_LONGEST_S = 100 * 365 * 24 * 3600


def listed(asked: Asked) -> dict[str, Any]:
    """GET projects/*/api_keys."""
    cursor = cursor_of(asked.parameters)
    access = asked.parameters.choice("owner_project_access", "active", "inactive", "any")
    of_project = keys.all_of(asked.database, asked.org, asked.ids[0])
    # Who is removed has no key that works: every owner of a key that is shown has access.
    listing = Listing(
        of_project, lambda key: key.id, lambda key: key.revoked_at is None and access != "inactive"
    )
    owners = _Owners(asked)
    return listing.page(cursor, lambda key: _written(key, owners.of(key)))


def retrieve(asked: Asked) -> dict[str, Any]:
    """GET projects/*/api_keys/*."""
    return _shown(asked, _one(asked))


def update(asked: Asked) -> dict[str, Any]:
    """POST projects/*/api_keys/*."""
    fields = asked.fields("expires_in_seconds", "scopes")
    refuse_scopes(fields)
    project, id = asked.ids
    expires_at = expiry_of(asked, fields)
    key = _one(asked)
    if expires_at is not None:
        key = keys.set_expiry(asked.database, id, expires_at, org=asked.org, project=project)
    return _shown(asked, key)


def delete(asked: Asked) -> dict[str, Any]:
    """DELETE projects/*/api_keys/*."""
    project, id = asked.ids
    keys.revoke(asked.database, id, org=asked.org, project=project)
    return {"id": id, "object": "organization.project.api_key.deleted", "deleted": True}


def expiry_of(asked: Asked, fields: Fields) -> datetime | None:
    """The instant of `expires_in_seconds`, None for never. Raises ApiError."""
    seconds = fields.integer("expires_in_seconds", 1, _LONGEST_S)
    return None if seconds is None else asked.now + timedelta(seconds=seconds)


def refuse_scopes(fields: Fields) -> None:
    """An API key calls models: there is nothing else that it could be kept to. Raises ApiError."""
    if "scopes" in fields:
        raise bad_parameter("scopes", "Keys have none here: each calls the models of its organization.")


def _one(asked: Asked) -> KeyRecord:
    project, id = asked.ids
    key = keys.one(asked.database, id, org=asked.org, project=project)
    if key.revoked_at is not None:
        raise asked.no_such()
    return key


def _shown(asked: Asked, key: KeyRecord) -> dict[str, Any]:
    return _written(key, _Owners(asked).of(key))


def _written(key: KeyRecord, owner: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": key.id,
        "object": "organization.project.api_key",
        "name": key.label,
        "redacted_value": key.redacted_value,
        "created_at": epoch(key.created_at),
        "expires_at": epoch(key.expires_at),
        "last_used_at": epoch(key.last_used_at),
        "owner": owner,
        "owner_project_access": "active",
    }


class _Owners:
    """The owners of a project's keys, read once for all of a page."""

    def __init__(self, asked: Asked) -> None:
        project = asked.ids[0]
        self._users = {user.name: user for user in users.all_of(asked.database, asked.org)}
        self._accounts = {
            account.id: account for account in service_accounts.all_of(asked.database, asked.org, project)
        }

    def of(self, key: KeyRecord) -> dict[str, Any]:
        """As OpenAI writes it; without details where it is removed just now."""
        account, user = self._accounts.get(key.user), self._users.get(key.user)
        if account is not None:
            return {"type": "service_account", "service_account": _account(account), "user": None}
        return {"type": "user", "service_account": None, "user": None if user is None else _user(user)}


def _account(account: ServiceAccountRecord) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "created_at": epoch(account.created_at),
        "role": account.role,
    }


def _user(user: UserRecord) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email or "",
        "created_at": epoch(user.created_at),
        "role": "member",
    }

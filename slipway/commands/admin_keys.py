"""`slipway admin-key ...`: keys with which a tenant manages its own organisation.

Belongs here: arguments, printing. Does not: the database (slipway.tenants), keys that ask models (keys.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from slipway.commands import options, tenants_database

if TYPE_CHECKING:
    from pathlib import Path

    from slipway.tenants.admin_keys import AdminKeyRecord


@click.group("admin-key")
def admin_key() -> None:
    """Admin keys: with one an owner manages the projects, users and keys of one organisation."""


@admin_key.command("create")
@click.argument("org")
@click.argument("user")
@tenants_database.LABEL
@tenants_database.EXPIRES
@options.CATALOG
def admin_key_create(org: str, user: str, label: str, expires: datetime | None, catalog: Path | None) -> None:
    """Make an admin key, make its user an owner of the organisation, and print the secret once."""
    from slipway.tenants import admin_keys, users

    tenants_database.check_name("USER", user)
    tenants_database.check_text("--label", label)
    database = tenants_database.opened_for(org, catalog)
    users.add(database, org, user, role=users.OWNER)
    made = admin_keys.create(database, org, user, label, expires_at=expires)
    tenants_database.say_secret(made)


@admin_key.command("list")
@click.option("--org", help="Of this organisation alone.")
def admin_key_list(org: str | None) -> None:
    """List admin keys; secrets are not stored."""
    from slipway.tenants import admin_keys

    database = tenants_database.opened()
    now = datetime.now(UTC)
    for record in admin_keys.everyone(database) if org is None else admin_keys.all_of(database, org):
        whose = f"{record.org}/{record.user}"
        click.echo("  ".join((record.id, record.redacted_value, whose, record.label, _state(record, now))))


@admin_key.command("revoke")
@click.argument("key_id")
def admin_key_revoke(key_id: str) -> None:
    """Revoke an admin key; gateways refuse it within two seconds."""
    from slipway.tenants import admin_keys

    admin_keys.revoke(tenants_database.opened(), key_id)
    click.echo(f"{key_id} revoked")


def _state(record: AdminKeyRecord, now: datetime) -> str:
    if record.revoked_at:
        return "revoked"
    if record.is_expired(now):
        return "expired"
    if not record.org_active:
        return "organisation removed"
    until = record.expires_at
    return "usable" if until is None else f"usable until {tenants_database.shown_instant(until)}"

"""`slipway key ...`: API keys of tenants.

Belongs here: arguments, printing, and refusing what would make a key that nobody can use.
Does not: the database (slipway.tenants).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slipway.commands import options
from slipway.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from slipway.tenants import TenantsDatabase


@click.group()
def key() -> None:
    """API keys of tenants."""


@key.command("create")
@click.argument("org")
@click.argument("user")
@click.option("--label", default="", help="What it is for.")
@options.CATALOG
def key_create(org: str, user: str, label: str, catalog: Path | None) -> None:
    """Make a key for a user of an organisation and print its secret once."""
    _check_name("USER", user)
    _check_text("--label", label)
    _check_whole(org)
    database = _database()
    if org not in database.orgs():
        _apply(database, org, catalog)
    database.add_user(org, user)
    made = database.create_key(org, user, label)
    click.echo(f"{made.id}  {made.secret}")
    click.echo("Keep the secret: it is not stored and not shown again.", err=True)


@key.command("list")
def key_list() -> None:
    """List keys; secrets are not stored."""
    for record in _database().keys():  # noqa: SIM118 - a query, not a mapping
        state = "usable" if record.usable else "revoked" if record.revoked_at else "organisation removed"
        click.echo(f"{record.id}  {record.prefix}...  {record.org}/{record.user}  {record.label}  {state}")


@key.command("revoke")
@click.argument("key_id")
def key_revoke(key_id: str) -> None:
    """Revoke a key; gateways refuse it within two seconds."""
    _database().revoke_key(key_id)
    click.echo(f"{key_id} revoked")


def _check_whole(org: str) -> None:
    """Refuse to make a database in the place of one that was lost: gateways would drop the keys they hold."""
    from slipway.control import tenancy
    from slipway.control.connections import Connections

    tenancy.require_org(Connections(Environment.load()), org)


def _database() -> TenantsDatabase:
    """The database that is there, with today's schema: a command never makes one at a mistyped place."""
    from slipway.tenants import TenantsDatabase
    from slipway.tenants.connection import missing_file

    environment = Environment.load()
    missing = missing_file(environment.tenants_db_url)
    if environment.tenants_db_url.rstrip("/:") in ("sqlite", "sqlite:///:memory"):
        raise click.ClickException("SLIPWAY_TENANTS_DB names no file. Write sqlite:////absolute/path.db.")
    if missing is not None:
        named = " (SLIPWAY_TENANTS_DB)" if environment.get("SLIPWAY_TENANTS_DB") else ""
        raise click.ClickException(
            f"no tenants' database at {missing}{named}. {options.elsewhere(environment.home)}"
        )
    database = TenantsDatabase(environment.tenants_db_url)
    database.migrate()
    return database


def _apply(database: TenantsDatabase, org: str, catalog: Path | None) -> None:
    """Bring an organisation of the catalog where the sensor has not yet: in the first seconds of a stack."""
    named = sorted(each.name for each in options.load(catalog).catalog.organizations)
    if org not in named:
        known = ", ".join(named) or "none"
        raise click.ClickException(
            f"{org}: no organisation of the catalog, so its keys would be refused. The catalog has: {known}."
        )
    database.sync_orgs({*database.orgs(), org})


def _check_name(what: str, text: str) -> None:
    if not text.strip():
        raise click.BadParameter("is empty. Name a person or a program.", param_hint=what)
    _check_text(what, text)


def _check_text(what: str, text: str) -> None:
    if not text.isprintable():
        raise click.BadParameter("holds a character that cannot be shown. Remove it.", param_hint=what)

"""`slipway user ...` and `slipway project ...`: who is in an organisation, and what groups its keys.

Belongs here: arguments, printing. Does not: the database (slipway.tenants), keys (keys.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slipway.commands import options, tenants_database

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def user() -> None:
    """Users of organisations."""


@user.command("add")
@click.argument("org")
@click.argument("name")
@click.option("--role", type=click.Choice(["owner", "reader"]), help="Default: reader, or as it is.")
@click.option("--email", help="The user's e-mail address.")
@options.CATALOG
def user_add(org: str, name: str, role: str | None, email: str | None, catalog: Path | None) -> None:
    """Add a user, or change what is given of one that is there."""
    from slipway.tenants import users

    tenants_database.check_name("NAME", name)
    database = tenants_database.opened_for(org, catalog)
    there = {each.name: each for each in users.all_of(database, org)}.get(name)
    added = users.add(database, org, name, role=role if there is None else None, email=email)
    if role is not None and added.role != role:
        added = users.set_role(database, org, added.id, role)
    click.echo(f"{added.id}  {org}/{name}  {added.role}")


@user.command("list")
@click.argument("org")
def user_list(org: str) -> None:
    """List the users of an organisation."""
    from slipway.tenants import users

    for each in users.all_of(tenants_database.opened(), org):
        click.echo("  ".join((each.id, f"{org}/{each.name}", each.role, each.email or "")).rstrip())


@user.command("remove")
@click.argument("org")
@click.argument("name")
def user_remove(org: str, name: str) -> None:
    """Remove a user and revoke all its keys; its usage stays."""
    from slipway.tenants import users

    database = tenants_database.opened()
    found = [each for each in users.all_of(database, org) if name in (each.name, each.id)]
    if not found:
        raise click.ClickException(
            f"user {name} of {org}: not in the tenants' database. `slipway user list`."
        )
    users.remove(database, org, found[0].id)
    click.echo(f"{org}/{found[0].name} removed; its keys are revoked")


@click.group()
def project() -> None:
    """Projects of organisations, which keys belong to."""


@project.command("create")
@click.argument("org")
@click.argument("name")
@options.CATALOG
def project_create(org: str, name: str, catalog: Path | None) -> None:
    """Make a project and print its id."""
    from slipway.tenants import projects

    tenants_database.check_name("NAME", name)
    made = projects.create(tenants_database.opened_for(org, catalog), org, name)
    click.echo(f"{made.id}  {org}/{made.name}")


@project.command("list")
@click.argument("org")
def project_list(org: str) -> None:
    """List the projects of an organisation."""
    from slipway.tenants import projects

    for each in projects.all_of(tenants_database.opened(), org):
        state = "archived" if not each.is_active else "default" if each.is_default else "active"
        click.echo(f"{each.id}  {org}/{each.name}  {state}")


@project.command("archive")
@click.argument("org")
@click.argument("name")
def project_archive(org: str, name: str) -> None:
    """Archive a project, by name or id, and revoke its keys; there is no way back."""
    from slipway.tenants import projects

    database = tenants_database.opened()
    archived = projects.archive(database, org, tenants_database.project_of(database, org, name).id)
    click.echo(f"{org}/{archived.name} archived; its keys are revoked")

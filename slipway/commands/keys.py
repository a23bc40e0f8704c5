"""`slipway key ...`: API keys of tenants.

Belongs here: arguments, printing, and refusing what would make a key that nobody can use.
Does not: the database (slipway.tenants), admin keys (admin_keys.py).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, get_args

import click

from slipway.commands import options, tenants_database
from slipway.commands.tenants_database import Duration, shown_instant

if TYPE_CHECKING:
    from pathlib import Path

    from slipway.tenants import KeyRecord


@click.group()
def key() -> None:
    """API keys of tenants."""


@key.command("create")
@click.argument("org")
@click.argument("user")
@tenants_database.LABEL
@tenants_database.EXPIRES
@click.option("--project", help="Name or id of the project. Default: the organisation's default project.")
@click.option("--deployments", help="Names, with commas between: it works for these alone. Default: all.")
@click.option("--tasks", help="Tasks, with commas between: it works for these alone. Default: all.")
@options.CATALOG
def key_create(
    org: str,
    user: str,
    label: str,
    expires: datetime | None,
    project: str | None,
    deployments: str | None,
    tasks: str | None,
    catalog: Path | None,
) -> None:
    """Make a key for a user of an organisation and print its secret once."""
    from slipway.tenants import keys

    tenants_database.check_name("USER", user)
    tenants_database.check_text("--label", label)
    for_deployments, for_tasks = _deployments(deployments, catalog), _tasks(tasks)
    database = tenants_database.opened_for(org, catalog)
    within = tenants_database.project_of(database, org, project)
    if not user.startswith("svc_acct_"):
        database.add_user(org, user)
    made = keys.create(
        database,
        org,
        user,
        label,
        project=None if project is None else within.id,
        expires_at=expires,
        deployments=for_deployments,
        tasks=for_tasks,
    )
    tenants_database.say_secret(made)


@key.command("list")
@click.option("--org", help="Of this organisation alone.")
def key_list(org: str | None) -> None:
    """List keys; secrets are not stored."""
    from slipway.tenants import keys

    database = tenants_database.opened()
    now = datetime.now(UTC)
    for record in keys.everyone(database) if org is None else keys.all_of(database, org):
        whose = f"{record.org}/{record.user}"
        shown = (record.id, record.redacted_value, whose, record.label, _state(record, now), *_only(record))
        click.echo("  ".join(shown))


@key.command("rotate")
@click.argument("key_id")
@click.option(
    "--grace", type=Duration(), help="How long the old secret goes on (1h, 2d). Default: it stops at once."
)
@tenants_database.EXPIRES
def key_rotate(key_id: str, grace: timedelta | None, expires: datetime | None) -> None:
    """Make a key with the same rights in the place of one, and print its secret once.

    It expires when told, or else when the old one would have.
    """
    from slipway.tenants import keys

    made = keys.rotate(tenants_database.opened(), key_id, grace=grace or timedelta(0), expires_at=expires)
    tenants_database.say_secret(made)
    until = "stops now" if grace is None else f"stops in {grace}"
    click.echo(f"{key_id} {until}.", err=True)


@key.command("revoke")
@click.argument("key_id")
def key_revoke(key_id: str) -> None:
    """Revoke a key; gateways refuse it within two seconds."""
    tenants_database.opened().revoke_key(key_id)
    click.echo(f"{key_id} revoked")


def _state(record: KeyRecord, now: datetime) -> str:
    if record.revoked_at:
        return "revoked"
    if record.is_expired(now):
        return "expired"
    if not record.org_active:
        return "organisation removed"
    return "usable" if record.expires_at is None else f"usable until {shown_instant(record.expires_at)}"


def _only(record: KeyRecord) -> list[str]:
    restrictions = (("deployments", record.deployments), ("tasks", record.tasks))
    return [f"{name}: {', '.join(sorted(names))}" for name, names in restrictions if names is not None]


def _deployments(written: str | None, catalog: Path | None) -> frozenset[str] | None:
    """The deployments that are named; each must be in the catalog, or nobody could use the key."""
    if written is None:
        return None
    known = [deployment.name for deployment in options.load(catalog).catalog.deployments]
    return _named("--deployments", written, known, "no deployment of the catalog")


def _tasks(written: str | None) -> frozenset[str] | None:
    from slipway.catalog.fields import Task

    return None if written is None else _named("--tasks", written, get_args(Task), "no task")


def _named(option: str, written: str, known: list[str] | tuple[str, ...], no: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in written.split(",")) - {""}
    unknown = ", ".join(sorted(names - set(known)))
    if unknown or not names:
        wrong = f"{unknown}: {no}" if unknown else "names nothing"
        raise click.BadParameter(f"{wrong}. Name some of: {', '.join(known) or 'none'}.", param_hint=option)
    return names

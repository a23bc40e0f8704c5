"""What `slipway key`, `admin-key`, `user` and `project` share: the database, and what people write.

Belongs here: opening the database, organisations that have just been written, names, durations and instants.
Does not: commands.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import click

from slipway.commands import options
from slipway.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from slipway.tenants import NewKey, TenantsDatabase
    from slipway.tenants.projects import ProjectRecord

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Longer is a mistake, or means never.
_LONGEST = timedelta(days=100 * 365)


class Duration(click.ParamType[timedelta]):
    """Such as `90d`, `12h`, `30m`, `1h30m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration; wrong usage for anything else."""
        if isinstance(value, timedelta):
            return value
        duration = parsed_duration(str(value))
        if duration is None:
            self.fail(f"{value!r} is no duration. Write it as 30m, 12h or 90d.", param, ctx)
        return duration


class Expiry(click.ParamType[datetime]):
    """A duration from now, or an instant such as `2027-01-31` or `2027-01-31T12:00:00Z`."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant, which is ahead; wrong usage for anything else."""
        if isinstance(value, datetime):
            return value
        now = datetime.now(UTC)
        duration = parsed_duration(str(value))
        if duration is not None:
            return now + duration
        try:
            instant = datetime.fromisoformat(str(value))
        except ValueError:
            self._refuse(f"{value!r} is no duration and no instant", param, ctx)
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        if instant <= now:
            self._refuse(f"{shown_instant(instant)} is past", param, ctx)
        return instant

    def _refuse(self, what: str, param: click.Parameter | None, ctx: click.Context | None) -> NoReturn:
        self.fail(f"{what}. Write 90d, 12h, or an instant in UTC as 2030-01-31T12:00:00Z.", param, ctx)


EXPIRES = click.option(
    "--expires",
    type=Expiry(),
    help="When it stops: a duration (90d, 12h) or an instant in UTC. Default: never.",
)
LABEL = click.option("--label", default="", help="What it is for.")


def parsed_duration(text: str) -> timedelta | None:
    """The duration that is written as numbers with units, or None."""
    if not re.fullmatch(r"(\d{1,9}[smhdw])+", text, re.ASCII):
        return None
    parts = re.findall(r"(\d+)([smhdw])", text)
    duration = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta(0))
    return duration if timedelta(0) < duration <= _LONGEST else None


def shown_instant(instant: datetime) -> str:
    """An instant for people: UTC, to the second."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def opened() -> TenantsDatabase:
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


def opened_for(org: str, catalog: Path | None) -> TenantsDatabase:
    """The database, with that organisation in it, wherever the sensor has not brought it yet.

    Refuses to make a database in the place of one that was lost: gateways would drop the keys they hold.
    """
    from slipway.control import tenancy
    from slipway.control.connections import Connections

    tenancy.require_org(Connections(Environment.load()), org)
    database = opened()
    if org not in database.orgs():
        _apply(database, org, catalog)
    return database


def project_of(database: TenantsDatabase, org: str, named: str | None) -> ProjectRecord:
    """The project of that id or name, which is not archived; the default one where none is named."""
    from slipway.tenants import projects

    if named is None:
        return projects.default(database, org)
    active = [project for project in projects.all_of(database, org) if project.is_active]
    found = [project for project in active if project.id == named] or [
        project for project in active if project.name == named
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{project.name} ({project.id})" for project in found or active) or "none"
    if found:
        raise click.ClickException(f"project {named}: {org} has several of that name: {known}. Give the id.")
    raise click.ClickException(f"project {named}: {org} has none of that name or id. It has: {known}.")


def check_name(what: str, text: str) -> None:
    """Refuse what nobody could read in a list."""
    if not text.strip():
        raise click.BadParameter("is empty. Name a person or a program.", param_hint=what)
    check_text(what, text)


def check_text(what: str, text: str) -> None:
    """Refuse what cannot be shown."""
    if not text.isprintable():
        raise click.BadParameter("holds a character that cannot be shown. Remove it.", param_hint=what)


def say_secret(made: NewKey) -> None:
    """Show a secret, once."""
    click.echo(f"{made.id}  {made.secret}")
    until = "" if made.expires_at is None else f" It works until {shown_instant(made.expires_at)}."
    click.echo(f"Keep the secret: it is not stored and not shown again.{until}", err=True)


def _apply(database: TenantsDatabase, org: str, catalog: Path | None) -> None:
    """Bring an organisation of the catalog where the sensor has not yet: in the first seconds of a stack."""
    named = sorted(each.name for each in options.load(catalog).catalog.organizations)
    if org not in named:
        known = ", ".join(named) or "none"
        raise click.ClickException(
            f"{org}: no organisation of the catalog, so its keys would be refused. The catalog has: {known}."
        )
    database.sync_orgs({*database.orgs(), org})

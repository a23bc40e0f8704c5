"""`slipway tenants ...`: the database of organisations, users and API keys as a whole.

Belongs here: arguments, printing. Does not: keys (`slipway key`), doing the work (slipway.control.tenancy).
"""

from __future__ import annotations

import click

from slipway.environment import Environment


@click.group()
def tenants() -> None:
    """The tenants' database: going on after a loss."""


@tenants.command("accept")
def tenants_accept() -> None:
    """Go on with the database as it is, after it was lost or restored from an older backup.

    Until then no organisation is brought to it, so that gateways keep the keys that they hold.
    """
    from slipway.control import tenancy
    from slipway.control.connections import Connections

    at = Connections(Environment.load())
    mark = tenancy.accept(at)
    held = f"{mark.users} users and {mark.keys} keys" if mark is not None else "nothing"
    click.echo(f"{at.tenants.name}: accepted with {held}. Its organisations are brought from the catalog.")

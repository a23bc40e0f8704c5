"""`slipway alert ...`: whether those who should be told of trouble are.

Belongs here: arguments, printing, exit codes. Does not: telling (slipway.control.alerting).
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from slipway.commands import options
from slipway.environment import Environment


@click.group()
def alert() -> None:
    """Alerts of the catalog's receivers: trying them."""


@alert.command("test")
@options.CATALOG
@click.argument("receiver", required=False)
def alert_test(catalog: Path | None, receiver: str | None) -> None:
    """Send an alert that begins and is over to every receiver, or to one. Exits 1 where one was not told."""
    from slipway.control.alerting import try_out

    receivers = options.load(catalog).catalog.settings.receivers
    chosen = [each for each in receivers if receiver in {None, each.name}]
    if not chosen:
        known = ", ".join(each.name for each in receivers) or "none; add some to Settings.alert_receivers"
        raise click.UsageError(f"no alert receiver {receiver or ''}. The catalog has: {known}.")
    failed = False
    for each in chosen:
        trouble = try_out(each, Environment.load().variables, datetime.now(UTC))
        failed = failed or trouble is not None
        click.echo(trouble or f"{each.name}: told", err=trouble is not None)
    sys.exit(1 if failed else 0)

"""`slipway backfill`: hours of usage rolled up again, however many.

Belongs here: arguments, printing.
Does not: doing it (slipway.control.accounting), hours that differ by themselves (the sensor `late_usage`).
"""

from __future__ import annotations

import click

from slipway.environment import Environment


@click.command()
@click.argument("period")
@click.option("--resume", metavar="RUN", help="Go on with this one, which was interrupted.")
def backfill(period: str, resume: str | None) -> None:
    """Roll the hours of PERIOD up again: 2026-10, 2026-10-31, 2026-10-01..2026-10-15, 36h or 7d; UTC.

    One run, a day at a time: other rollups have their turn between. What is interrupted has done whole parts
    of a day or nothing of them, and says how to go on. Exit codes: 0 when all checks passed, 1 otherwise, 2
    for a wrong PERIOD.
    """
    from datetime import UTC, datetime

    from slipway.control.accounting import backfilled, roll_up
    from slipway.control.connections import Connections
    from slipway.metering.periods import read_period

    now = datetime.now(UTC)
    try:
        hours = backfilled(read_period(period, now), now)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    run_id = resume or f"backfill-{now:%Y%m%dT%H%M%SZ}"
    click.echo(f"run {run_id}; if it is interrupted: slipway backfill {period} --resume {run_id}", err=True)
    at = Connections(Environment.load())
    report = roll_up(at, hours, run_id, lambda line: click.echo(line, err=True), done_by=[run_id])
    requests = sum(summary.requests for summary in report.hours)
    click.echo(f"{len(report.hours)} hours, {requests} requests")
    failed = [check for check in report.checks if not check.passed]
    for check in failed:
        click.echo(f"{check.severity}: {check.name}: {check.evidence}")
    if any(check.severity == "error" for check in failed):
        raise click.exceptions.Exit(1)

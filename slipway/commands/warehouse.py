"""`slipway warehouse ...`: the file of usage, latency and cost.

Belongs here: arguments, printing.
Does not: doing the work (slipway.control.rebuilding, slipway.control.accounting).
"""

from __future__ import annotations

import click

from slipway.environment import Environment


@click.group()
def warehouse() -> None:
    """The warehouse of usage, latency and cost: making it anew, and compacting what it is made of."""


@warehouse.command("rebuild")
@click.option(
    "--without-gone", is_flag=True, help="Go on without usage objects that are not in the store any more."
)
def warehouse_rebuild(without_gone: bool) -> None:
    """Make the warehouse anew from the store: prices as they were taken, all hours of usage and of samples.

    The file need not be there, nor the stack be stopped. What is interrupted has changed nothing.
    """
    from slipway.control.connections import Connections
    from slipway.control.rebuilding import ranges, rebuild

    at = Connections(Environment.load())
    at.store.location  # noqa: B018 - where there is no stack, that is said before a directory is made
    rebuilt = rebuild(at, lambda line: click.echo(line, err=True), without_gone=without_gone)
    for prefix in rebuilt.strays:
        click.echo(f"no hour, left out: {prefix}", err=True)
    for title, hours in (
        ("usage", [summary.hour for summary in rebuilt.usage]),
        ("samples", list(rebuilt.sampled_hours)),
    ):
        click.echo(f"{title}: {len(hours)} hours")
        for span in ranges(hours):
            click.echo(f"    {span}")
    requests = sum(summary.requests for summary in rebuilt.usage)
    unpriced = sum(summary.unpriced for summary in rebuilt.usage)
    quarantined = sum(summary.quarantined for summary in rebuilt.usage)
    cost = ", ".join(f"{amount:f} {currency}" for currency, amount in rebuilt.cost.items()) or "nothing"
    click.echo(
        f"{requests} requests, of them {unpriced} without a price; {quarantined} lines set aside; cost {cost}"
    )
    click.echo(f"{at.warehouse.path}: made anew")


@warehouse.command("compact")
@click.option(
    "--after-hours",
    type=click.IntRange(1),
    default=48,
    show_default=True,
    help="Hours that an hour has to be over: what comes later makes one more compaction.",
)
@click.option(
    "--grace-hours",
    type=click.IntRange(0),
    default=24,
    show_default=True,
    help="Hours that small objects stay beside what they became.",
)
def warehouse_compact(after_hours: int, grace_hours: int) -> None:  # fmt: skip
    """Let the small usage objects of hours that are long over become one Parquet object for each hour.

    Dagster's job `maintenance` does it every night. What is interrupted has lost nothing.
    """
    from datetime import UTC, datetime, timedelta

    from slipway.control.accounting import compact_usage
    from slipway.control.connections import Connections

    compacted = compact_usage(
        Connections(Environment.load()), datetime.now(UTC), click.echo,
        after=timedelta(hours=after_hours), grace=timedelta(hours=grace_hours),
    )  # fmt: skip
    made = sum(each.made is not None for each in compacted)
    click.echo(f"{made} hours compacted, {sum(each.removed for each in compacted)} objects removed")

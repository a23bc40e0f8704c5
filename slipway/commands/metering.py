"""`slipway usage`, `cost`, `latency`, `economics`, `report`: what was metered, for people and programs.

Belongs here: shared options, and an answer as a table, JSON or CSV.
Does not: what is asked and how (slipway.metering.asking), pages (slipway.metering.reports).

Exit codes: 0 with an answer, of no rows, too; 1 where nothing was published or it cannot be read; 2 for a
wrong option, a name that was never metered included.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from slipway.environment import Environment

if TYPE_CHECKING:
    from slipway.metering.asking import Answer, Question
    from slipway.metering.published import PublishedCopy

Told = TypeVar("Told")

_STEPS = ("hour", "day", "week", "month")
_DIMENSIONS = ("org", "user", "key", "deployment", "model")
_DEPLOYMENT = click.option(
    "--deployment", "deployments", multiple=True, help="Of this deployment; repeatable."
)
_ORG = click.option("--org", "orgs", multiple=True, help="Of this organisation; repeatable.")
_KEY = click.option("--key", "keys", multiple=True, help="Of the API key with this id; repeatable.")
_PERIOD = click.option(
    "--period",
    help="2026-10, 2026-10-31, 2026-10-31T09, a range A..B with both ends in it, or the last 36h or 7d; UTC. "
    "Default: the running month.",
)
_BY = click.option("--by", type=click.Choice(_STEPS), help="A row for each. Default: one for the period.")
_PER = click.option(
    "--per",
    multiple=True,
    type=click.Choice(_DIMENSIONS),
    help="What rows are told apart by; repeatable. Default: org and deployment.",
)
_OUTPUT = click.option(
    "-o",
    "--output",
    "shape",
    type=click.Choice(("table", "json", "csv")),
    default="table",
    show_default=True,
    help="Money is an exact decimal string in each. CSV says on stderr until when it is complete.",
)


def asked(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A command's options as one decorator, in the order of its help."""
    return lambda command: reduce(lambda given, option: option(given), reversed(options), command)


@click.command()
@asked(_DEPLOYMENT, _ORG, _KEY, _PERIOD, _BY, _PER, _OUTPUT)
def usage(shape: str, **given: Any) -> None:
    """What was used and is billed: requests by their end, tokens, and other units."""
    answered("usage", question(**given), shape)


@click.command()
@asked(_DEPLOYMENT, _ORG, _KEY, _PERIOD, _BY, _PER, _OUTPUT)
def cost(shape: str, **given: Any) -> None:
    """What was used costs, by currency; exact, before an invoice rounds it."""
    answered("cost", question(**given), shape)


@click.command()
@asked(_DEPLOYMENT, _ORG, _KEY, _PERIOD, _BY, _OUTPUT)
def latency(shape: str, orgs: tuple[str, ...], keys: tuple[str, ...], **given: Any) -> None:
    """How long requests took, in ms: first token, between tokens, whole request, and what they waited for.

    Quantiles are kept by deployment. Of an organisation or a key it says counts, means and maxima.
    """
    per = (*(("org",) if orgs else ()), *(("key",) if keys else ()), "deployment")
    query = "latency_by_key" if orgs or keys else "latency"
    answered(query, question(**given, orgs=orgs, keys=keys, per=per), shape)


@click.command()
@asked(_DEPLOYMENT, _PERIOD, _BY, _OUTPUT)
def economics(shape: str, **given: Any) -> None:
    """What deployments earned beside what their GPUs cost: margin, cost per 1M tokens, utilisation.

    By the prices of GPUs in the catalog (`Settings.gpu_prices`). GPUs are shared by all organisations of a
    deployment, so that there is no margin of one of them.
    """
    answered("economics", question(**given, per=("deployment",)), shape)


@click.command()
@click.argument("kind", type=click.Choice(("latency", "usage", "economics")))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file. Default: slipway-KIND.html here.",
)
@asked(_DEPLOYMENT, _ORG, _PERIOD)
def report(
    kind: str, out: Path | None, period: str | None, deployments: tuple[str, ...], orgs: tuple[str, ...]
) -> None:
    """Write a report: one HTML file that needs no network. Default of the period: the last 7 days."""
    from slipway.metering.reports.making import make

    if orgs and kind != "usage":
        raise click.UsageError(f"{kind} is kept by deployment, not by organisation. Leave --org out.")
    wanted = question(period=period or "7d", by=None, deployments=deployments, orgs=orgs)
    path = out or Path(f"slipway-{kind}.html")
    made = _of_published(lambda copy: make(copy, kind, wanted, datetime.now(UTC)))
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(made)
    unfinished.replace(path)
    click.echo(f"{path}: {len(made.encode()) / 1e6:.1f} MB")


def question(
    *,
    period: str | None,
    by: str | None,
    deployments: tuple[str, ...] = (),
    orgs: tuple[str, ...] = (),
    keys: tuple[str, ...] = (),
    per: tuple[str, ...] = ("deployment",),
) -> Question:
    """From options to the question; a period that is none is wrong usage."""
    from slipway.metering.asking import Question
    from slipway.metering.periods import month_of, read_period

    now = datetime.now(UTC)
    try:
        asked_of = month_of(now) if period is None else read_period(period, now)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--period") from error
    return Question(asked_of, deployments, orgs, keys, by, per or ("org", "deployment"))


def answered(query: str, asked: Question, shape: str) -> None:
    """Ask the published copy and print what it says."""
    from slipway.metering.asking import ask

    answer = _of_published(lambda copy: ask(copy, query, asked))
    {"table": _show_table, "json": _show_json, "csv": _show_csv}[shape](answer)


def _of_published(ask: Callable[[PublishedCopy], Told]) -> Told:
    """What the published copy says; a name that was never metered is wrong usage."""
    from slipway.control.connections import Connections
    from slipway.metering.asking import UnknownNameError

    try:
        return ask(Connections(Environment.load()).metered)
    except UnknownNameError as error:
        raise click.UsageError(str(error)) from error


def _show_json(answer: Answer) -> None:
    asked = answer.question
    document = {
        "period": {"start": _instant(asked.period.start), "end": _instant(asked.period.end)},
        "filters": {"deployment": asked.deployments, "org": asked.orgs, "key": asked.keys},
        "complete_until": None if answer.complete_until is None else _instant(answer.complete_until),
        "complete": answer.is_complete,
        "rows": [dict(zip(answer.columns, row, strict=True)) for row in answer.rows],
    }
    click.echo(json.dumps(document, indent=2))


def _show_csv(answer: Answer) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(answer.rows)
    click.echo(text.getvalue(), nl=False)
    click.echo(_completeness(answer), err=True)


def _show_table(answer: Answer) -> None:
    """Columns in which nothing was counted are left out; the other shapes have them."""
    kept = [
        place
        for place, _ in enumerate(answer.columns)
        if not answer.rows or any(row[place] not in (None, 0) for row in answer.rows)
    ]
    lines = [[answer.columns[place] for place in kept]]
    lines += [[_cell(row[place]) for place in kept] for row in answer.rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(kept))]
    is_number = [any(isinstance(row[place], int | float) for row in answer.rows) for place in kept]
    for line in lines:
        cells = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, is_number, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())
    click.echo(f"{len(answer.rows)} rows of {answer.question.period}. {_completeness(answer)}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _completeness(answer: Answer) -> str:
    if answer.is_complete:
        return "Complete."
    until = answer.complete_until
    return "No hour is complete yet." if until is None else f"Complete until {_instant(until)}; not after."


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


# Added to `slipway` one by one, in this order.
COMMANDS = (usage, latency, cost, economics, report)

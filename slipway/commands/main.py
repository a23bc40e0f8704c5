"""`slipway ...`: the command line.

Belongs here: arguments, printing, exit codes. Does not: doing the work (the packages it calls).
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING

import click

import slipway
from slipway.commands import cluster, metering, options
from slipway.commands.admin_keys import admin_key
from slipway.commands.alert import alert
from slipway.commands.backfill import backfill
from slipway.commands.billing import invoice, month
from slipway.commands.image import image
from slipway.commands.keys import key
from slipway.commands.tenants import tenants
from slipway.commands.users import project, user
from slipway.commands.warehouse import warehouse
from slipway.commands.weights import weights
from slipway.environment import STACK_ENV, Environment, MissingSettingError

if TYPE_CHECKING:
    from slipway.catalog.problems import CatalogError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home", type=click.Path(path_type=Path), help="State directory. Default: SLIPWAY_HOME, or ./.slipway."
)
@click.version_option(package_name="slipway")
def cli(home: Path | None) -> None:
    """Serverless LLM inference on your own GPUs: from the hub to a metered, billed endpoint."""
    if home is not None:
        os.environ["SLIPWAY_HOME"] = str(home.absolute())
    given = Path(os.environ.get("SLIPWAY_HOME") or ".slipway").absolute()
    for path in (given, *given.parents):
        if path.exists() and not path.is_dir():
            raise click.UsageError(f"no state directory {given}: {path} is a file. Name a directory.")


@cli.command()
@options.CATALOG
def check(catalog: Path | None) -> None:
    """Say everything that is wrong with the catalog; touches nothing."""
    loaded = options.load(catalog)
    for warning in loaded.warnings:
        click.echo(str(warning))
    count = sum(
        len(documents)
        for documents in (
            loaded.catalog.models,
            loaded.catalog.adapters,
            loaded.catalog.deployments,
            loaded.catalog.endpoints,
            loaded.catalog.organizations,
            loaded.catalog.price_books,
            loaded.catalog.engines,
        )
    )
    click.echo(f"{_count(range(count), 'document')}, no errors, {_count(loaded.warnings, 'warning')}")


@cli.command()
def schema() -> None:
    """Print the JSON Schema of catalog documents, for editors."""
    from slipway.catalog.files.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@cli.command()
@options.CATALOG
def plan(catalog: Path | None) -> None:
    """Show what differs from what is deployed, field by field; changes nothing. Exits 3 on a difference."""
    from slipway.catalog.concealing import conceal, concealed
    from slipway.control.plans import deployed_changes

    changes = deployed_changes(options.load(catalog).catalog, Environment.load())
    for change in changes:
        click.echo(f"{change.action} {change.kind} {change.name}")
        for field in change.fields:
            where = tuple(field.field.split("."))
            before, after = (json.dumps(conceal(value, where)) for value in (field.before, field.after))
            click.echo(f"    {field.field}: {before} -> {after}")
        for line in change.detail:
            click.echo(f"    {concealed(line)}")
    click.echo(f"{len(changes)} to change" if changes else "nothing to change")
    sys.exit(options.DIFFERENT if changes else 0)


@cli.command()
@options.CATALOG
def up(catalog: Path | None) -> None:
    """Start the embedded stack and wait until it serves; harmless when it runs.

    A catalog with errors holds up nothing: what serves goes on serving, and the errors are told.
    """
    from slipway.stack import supervisor

    environment = Environment.load()
    directory = catalog or environment.catalog_dir
    if not directory.is_dir() and (catalog is not None or not (environment.home / STACK_ENV).exists()):
        raise click.ClickException(
            f"no catalog at {directory.absolute()}, and nothing was started. Name it with --catalog or "
            f"SLIPWAY_CATALOG. {options.elsewhere(environment.home)}"
        )
    error = options.broken(directory)
    state = supervisor.up(environment.home, catalog=directory.absolute(), progress=click.echo)
    click.echo(f"\nDagster UI   {state.ui_url}   (its catalog_drift sensor deploys {directory} by itself)")
    click.echo(f"gateway      {state.gateway_url}/v1   (make a key: slipway key create ORG USER)")
    if error is not None:
        _say_problems(error)
        click.echo("The stack runs; nothing is deployed or changed until the catalog is corrected.", err=True)


@cli.command()
def down() -> None:
    """Stop the embedded stack: no process and no open port is left."""
    from slipway.stack import supervisor

    home = Environment.load().home
    supervisor.down(home, progress=click.echo)
    if not (home / STACK_ENV).exists():
        click.echo(f"There is no stack in {home}. {options.elsewhere(home)}", err=True)


@cli.command()
def status() -> None:
    """Show the embedded stack's services, their health, ports and memory. Exits 1 unless all are ready."""
    from slipway.stack import supervisor
    from slipway.stack.status import summary

    home = Environment.load().home
    services = supervisor.status(home)
    for service in services:
        click.echo(str(service))
    if not services:
        raise click.ClickException(f"there is no stack in {home}. {options.elsewhere(home)}")
    click.echo(summary(services))
    sys.exit(0 if all(service.state.value == "ready" for service in services) else options.FAILED)


@cli.command()
@click.option("--tasks", is_flag=True, help="Text, speech both ways, embeddings and reranking instead.")
def demo(tasks: bool) -> None:
    """Take a real model from the hub to a bill, and check every claim on the way."""
    from slipway.stack.demo.flow import run_demo, run_tasks_demo

    environment = Environment.load()
    if tasks:
        directory = Path(slipway.__file__).parents[1] / "catalog-tasks"
        loaded = options.load(directory)
        sys.exit(run_tasks_demo(environment.home / "demo-tasks", directory, loaded, progress=click.echo))
    directory = environment.catalog_dir
    sys.exit(run_demo(environment.home / "demo", directory, options.load(directory), progress=click.echo))


cli.add_command(image)
cli.add_command(weights)
cli.add_command(key)
cli.add_command(admin_key)
cli.add_command(user)
cli.add_command(project)
cli.add_command(tenants)
cli.add_command(warehouse)
cli.add_command(backfill)
cli.add_command(month)
cli.add_command(invoice)
cli.add_command(alert)
for command in (*cluster.COMMANDS, *metering.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Entry point: trouble that a person can act on is one message, not a stack trace.

    Exit codes are those of slipway.commands.options.
    """
    debug = bool(os.environ.get("SLIPWAY_DEBUG"))
    if debug:
        logging.basicConfig()
        logging.getLogger("slipway").setLevel(logging.DEBUG)
    try:
        # Not standalone: click would end an interrupt with its own word and with 1, as any failure.
        sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(
            "\nslipway: interrupted. Run the same command again; it goes on or starts again.", err=True
        )
        sys.exit(options.INTERRUPTED)
    except BrokenPipeError:  # whoever read has enough, such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(options.FAILED)
    except Exception as error:
        if debug:
            raise
        _say_error(error)
        sys.exit(options.FAILED)


def _say_error(error: Exception) -> None:
    from slipway.catalog.problems import CatalogError

    if isinstance(error, CatalogError):
        _say_problems(error)
    elif isinstance(error, LookupError | RuntimeError | ValueError | TimeoutError) and not isinstance(
        error, KeyError | IndexError | UnicodeError
    ):
        click.echo(f"slipway: {error}{_hint(error)}", err=True)
    elif isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"slipway: {place}{error.strerror.lower()}.", err=True)
    else:
        click.echo(
            f"slipway: failed in a way that nobody thought of ({type(error).__name__}: {error}). "
            "Tell us, please, with what the same command prints under SLIPWAY_DEBUG=1.",
            err=True,
        )


def _hint(error: Exception) -> str:
    home = Environment.load().home
    if not isinstance(error, MissingSettingError) or (home / STACK_ENV).exists():
        return ""
    return f" There is no stack in {home}. {options.elsewhere(home)}"


def _say_problems(error: CatalogError) -> None:
    for problem in sorted((*error.problems, *error.warnings)):
        click.echo(str(problem), err=True)
    click.echo(f"{_count(error.problems, 'error')}, {_count(error.warnings, 'warning')}", err=True)


def _count(things: Sized, word: str) -> str:
    return f"{len(things)} {word}" if len(things) == 1 else f"{len(things)} {word}s"

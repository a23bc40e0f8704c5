"""`slipway ...`: the command line.

Belongs here: arguments, printing, exit codes. Does not: doing the work (the packages it calls).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from slipway.commands import cluster, options
from slipway.commands.image import image
from slipway.commands.weights import weights
from slipway.environment import Environment, MissingSettingError

_INTERRUPTED = 130  # as a shell reports Ctrl-C


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home", type=click.Path(path_type=Path), help="State directory. Default: SLIPWAY_HOME, or ./.slipway."
)
@click.version_option(package_name="slipway")
def cli(home: Path | None) -> None:
    """Serverless LLM inference on your own GPUs: from the hub to a metered, billed endpoint."""
    if home is not None:
        os.environ["SLIPWAY_HOME"] = str(home.absolute())


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
    click.echo(f"{count} documents, no errors, {len(loaded.warnings)} warnings")


@cli.command()
def schema() -> None:
    """Print the JSON Schema of catalog documents, for editors."""
    from slipway.catalog.files.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@cli.command()
@options.CATALOG
def plan(catalog: Path | None) -> None:
    """Show what differs from what is deployed, field by field; changes nothing. Exits 2 on a difference."""
    from slipway.control.plans import deployed_changes

    changes = deployed_changes(options.load(catalog).catalog, Environment.load())
    for change in changes:
        click.echo(f"{change.action} {change.kind} {change.name}")
        for field in change.fields:
            click.echo(f"    {field.field}: {json.dumps(field.before)} -> {json.dumps(field.after)}")
        for line in change.detail:
            click.echo(f"    {line}")
    click.echo(f"{len(changes)} to change" if changes else "nothing to change")
    sys.exit(2 if changes else 0)


@cli.command()
@options.CATALOG
def up(catalog: Path | None) -> None:
    """Start the embedded stack and wait until it serves; harmless when it runs."""
    from slipway.stack import supervisor

    environment = Environment.load()
    directory = catalog or environment.catalog_dir
    options.load(directory)
    state = supervisor.up(environment.home, catalog=directory.absolute(), progress=click.echo)
    click.echo(f"\nDagster UI   {state.ui_url}   (its catalog_drift sensor deploys {directory} by itself)")
    click.echo(f"gateway      {state.gateway_url}/v1   (make a key: slipway key create ORG USER)")


@cli.command()
def down() -> None:
    """Stop the embedded stack: no process and no open port is left."""
    from slipway.stack import supervisor

    supervisor.down(Environment.load().home, progress=click.echo)


@cli.command()
def status() -> None:
    """Show the embedded stack's services, their health, ports and memory. Exits 1 unless all are ready."""
    from slipway.stack import supervisor
    from slipway.stack.status import summary

    services = supervisor.status(Environment.load().home)
    for service in services:
        click.echo(str(service))
    click.echo(summary(services))
    sys.exit(0 if services and all(service.state.value == "ready" for service in services) else 1)


@cli.command()
def demo() -> None:
    """Take a real model from the hub to a bill, and check every claim on the way."""
    from slipway.stack.demo.flow import run_demo

    environment = Environment.load()
    directory = environment.catalog_dir
    sys.exit(run_demo(environment.home / "demo", directory, options.load(directory), progress=click.echo))


cli.add_command(image)
cli.add_command(weights)
for command in cluster.COMMANDS:
    cli.add_command(command)


@cli.group()
def key() -> None:
    """API keys of tenants."""


@key.command("create")
@click.argument("org")
@click.argument("user")
@click.option("--label", default="", help="What it is for.")
def key_create(org: str, user: str, label: str) -> None:
    """Make a key for a user of an organisation and print its secret once."""
    from slipway.tenants import TenantsDatabase

    database = TenantsDatabase(Environment.load().tenants_db_url)
    database.migrate()
    database.add_user(org, user)
    made = database.create_key(org, user, label)
    click.echo(f"{made.id}  {made.secret}")
    click.echo("Keep the secret: it is not stored and not shown again.", err=True)


@key.command("list")
def key_list() -> None:
    """List keys; secrets are not stored."""
    from slipway.tenants import TenantsDatabase

    database = TenantsDatabase(Environment.load().tenants_db_url)
    database.migrate()
    for record in database.keys():  # noqa: SIM118 - a query, not a mapping
        state = "usable" if record.usable else "revoked" if record.revoked_at else "organisation removed"
        click.echo(f"{record.id}  {record.prefix}...  {record.org}/{record.user}  {record.label}  {state}")


@key.command("revoke")
@click.argument("key_id")
def key_revoke(key_id: str) -> None:
    """Revoke a key; gateways refuse it within two seconds."""
    from slipway.tenants import TenantsDatabase

    TenantsDatabase(Environment.load().tenants_db_url).revoke_key(key_id)
    click.echo(f"{key_id} revoked")


def main() -> None:
    """Entry point: trouble that a person can act on is one message, not a stack trace."""
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
        sys.exit(_INTERRUPTED)
    except (MissingSettingError, LookupError, RuntimeError, ValueError, TimeoutError) as error:
        if os.environ.get("SLIPWAY_DEBUG"):
            raise
        click.echo(f"slipway: {error}", err=True)
        sys.exit(1)

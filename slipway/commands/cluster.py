"""`slipway get | describe | logs | diff | rollback | pause | resume | roles`: what is on the data planes.

Belongs here: arguments, printing, exit codes. Does not: doing the work (slipway.control).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slipway.commands import options
from slipway.environment import Environment

if TYPE_CHECKING:
    from slipway.control.connections import Connections
    from slipway.control.reading import Placed

_NAME = click.argument("name")


@click.group()
def get() -> None:
    """List what runs."""


@get.command("deployments")
@click.argument("name", required=False)
@options.JSON
def get_deployments(name: str | None, as_json: bool) -> None:
    """List every revision that is on a data plane: state, replicas, base URL, names to use in requests."""
    from slipway.control import reading

    at = _connected()
    revisions = reading.placed(at, name)
    if as_json:
        click.echo(json.dumps([_row(each) for each in revisions], indent=1))
        return
    for revision in revisions:
        live, names = revision.live, _names(revision) or revision.live.deployment
        click.echo(
            f"{live.name}  {revision.runtime}  {live.state} ({revision.state})  "
            f"{live.replicas_ready}/{live.replicas_wanted}  {live.upstream}  {names}"
        )
    click.echo(f"{len(revisions)} on {at.planes}")


@click.command()
@_NAME
def describe(name: str) -> None:
    """Show a deployment's revisions: spec, model, replicas, conditions, pods, and the last warnings."""
    from slipway.control import reading

    for revision in reading.described(_connected(), name):
        _say_revision(revision)
        for title, lines in revision.told.items():
            for number, line in enumerate(lines):
                click.echo(f"  {title if number == 0 else '':<11}{line}")


@click.command()
@_NAME
@click.option("--application", help="Only this revision, by the name that `slipway get deployments` shows.")
@click.option("--lines", default=50, show_default=True, help="Last lines of each container.")
@click.option("--previous", is_flag=True, help="Of the run before the container's last restart.")
def logs(name: str, application: str | None, lines: int, previous: bool) -> None:
    """Print the last lines of a deployment's containers on Kubernetes."""
    from slipway.control import reading

    for output in reading.output(_connected(), name, application, lines, previous=previous):
        click.echo(f"== {output.pod}/{output.container}")
        for line in output.lines:
            click.echo(line)


@click.command()
@click.argument("name", required=False)
def diff(name: str | None) -> None:
    """Show what differs between a data plane and what was rolled out. Exits 3 on a difference.

    `slipway plan` compares the catalog with what was rolled out; this one finds edits by hand.
    """
    from slipway.catalog.concealing import concealed
    from slipway.control import reading

    changed = 0
    for difference in reading.edited(_connected(), name):
        changed += 1
        click.echo(f"{difference.action} {difference.application}")
        for line in difference.detail or difference.fields:
            click.echo(f"    {concealed(line)}")
    click.echo(f"{changed} differ" if changed else "nothing differs")
    sys.exit(options.DIFFERENT if changed else 0)


@click.command()
@_NAME
@click.option("--to", help="Digest of the revision, or its beginning. Default: the last good one before.")
@options.CATALOG
def rollback(name: str, to: str | None, catalog: Path | None) -> None:
    """Go back to an earlier revision, once it serves and answers; what was newer is withdrawn.

    Ends when every gateway that is known leads there; no other deployment's routes change.
    """
    from slipway.control import returning

    known = options.load(catalog).catalog
    back = returning.roll_back(
        _connected(), known, name, to, lambda progress: click.echo(str(progress)), click.echo
    )
    click.echo(
        f"{name}: {back.application} has the route. The spec that it replaces is withdrawn: it is not rolled "
        f"out again until the catalog changes or `slipway resume {name}`."
    )


@click.command()
@_NAME
def pause(name: str) -> None:
    """Let rollouts of a deployment stand still on Kubernetes, their deadlines too, until `slipway resume`."""
    from slipway.control import returning

    click.echo(f"{name} is paused: {', '.join(returning.pause(_connected(), name))}")


@click.command()
@_NAME
def resume(name: str) -> None:
    """Let a paused deployment's rollouts go on, and a withdrawn spec be rolled out again."""
    from slipway.control import returning

    wanted = returning.go_on(_connected(), name)
    again = f"; wanted again: {', '.join(digest[:8] for digest in wanted)}" if wanted else ""
    click.echo(f"{name} goes on{again}")


@click.command()
@options.CATALOG
@click.option("--data-plane", default="default", show_default=True, help="Which cluster.")
@click.option("--account", metavar="NAMESPACE/NAME", help="Bind them to this ServiceAccount, too.")
def roles(catalog: Path | None, data_plane: str, account: str | None) -> None:
    """Print the rights that Slipway needs for the catalog, for `kubectl apply -f -`; asks no cluster."""
    import yaml

    from slipway.control import reading

    holder = None
    if account is not None:
        namespace, slash, name = account.partition("/")
        if not (namespace and slash and name):
            raise click.BadParameter(f"{account} is no NAMESPACE/NAME.", param_hint="--account")
        holder = (namespace, name)
    made = reading.rights(Environment.load(), options.load(catalog).catalog, data_plane, holder)
    click.echo(yaml.safe_dump_all(made, sort_keys=False), nl=False)


COMMANDS = (get, describe, logs, diff, rollback, pause, resume, roles)


def _connected() -> Connections:
    from slipway.control.connections import Connections

    return Connections(Environment.load(), say=lambda line: click.echo(line, err=True))


def _row(placed: Placed) -> dict[str, Any]:
    live = placed.live
    return {
        "application": live.name,
        "deployment": live.deployment,
        "spec_digest": live.spec_digest,
        "runtime": placed.runtime,
        "state": live.state,
        "recorded": placed.state,
        "ready": live.replicas_ready,
        "wanted": live.replicas_wanted,
        "base_url": live.upstream,
        "names": list(placed.names),
        "engine_names": dict(placed.engine_names),
    }


def _names(placed: Placed) -> str:
    """What tenants ask the gateway for and, where it is another, what to ask for at the base URL itself."""
    own = placed.engine_names
    return ", ".join(f"{name} (there {own[name]})" if name in own else name for name in placed.names)


def _say_revision(placed: Placed) -> None:
    live, record = placed.live, placed.record
    click.echo(live.name)
    lines = {
        "spec": live.spec_digest,
        "recorded": placed.state + (f": {record.cause}" if record and record.cause else ""),
        "runtime": placed.runtime,
        "state": f"{live.state}, {live.replicas_ready}/{live.replicas_wanted} replicas, {live.message}",
        "base URL": live.upstream,
        "names": _names(placed),
    }
    if record is not None:
        model = record.spec["model"]
        lines["model"] = f"{model['name']} {model['source']} at {model['commit']}, {record.task}"
        lines["applied"] = record.applied_at
    for title, line in lines.items():
        click.echo(f"  {title:<11}{line}")

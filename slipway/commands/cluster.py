"""`slipway get | describe | logs | diff | rollback | pause | resume | roles`: what is on the data planes.

Belongs here: arguments, printing, exit codes. Does not: doing the work (slipway.dataplane).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slipway.commands import options
from slipway.environment import Environment

if TYPE_CHECKING:
    from slipway.dataplane.kubernetes.serving.reading import People
    from slipway.dataplane.planes.planes import Planes
    from slipway.dataplane.protocol import LiveApplication
    from slipway.records.revisions import Revision, RevisionStore

_NAME = click.argument("name")


@click.group()
def get() -> None:
    """List what runs."""


@get.command("deployments")
@click.argument("name", required=False)
@options.JSON
def get_deployments(name: str | None, as_json: bool) -> None:
    """List every revision that is on a data plane: state, replicas, base URL, names to use in requests."""
    planes, revisions = _open()
    rows = [_row(live, revisions.get(live.deployment, live.spec_digest)) for live in planes.status(name)]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        names = _names(row) or row["deployment"]
        click.echo(
            f"{row['application']}  {row['runtime']}  {row['state']} ({row['recorded']})  "
            f"{row['ready']}/{row['wanted']}  {row['base_url']}  {names}"
        )
    click.echo(f"{len(rows)} on {planes}")


@click.command()
@_NAME
def describe(name: str) -> None:
    """Show a deployment's revisions: spec, model, replicas, conditions, pods, and the last warnings."""
    planes, revisions = _open()
    described = {k: v for people in _people(planes) for k, v in people.describe(name).items()}
    found = planes.status(name)
    for live in found:
        _say_revision(live, revisions.get(name, live.spec_digest))
        detail = described.get(live.name)
        for title in ("conditions", "pods", "events") if detail is not None else ():
            for number, line in enumerate(getattr(detail, title)):
                click.echo(f"  {title if number == 0 else '':<11}{line}")
    if not found:
        raise LookupError(f"{name}: nothing of it is on {planes}. See `slipway get deployments`.")


@click.command()
@_NAME
@click.option("--application", help="Only this revision, by the name that `slipway get deployments` shows.")
@click.option("--lines", default=50, show_default=True, help="Last lines of each container.")
@click.option("--previous", is_flag=True, help="Of the run before the container's last restart.")
def logs(name: str, application: str | None, lines: int, previous: bool) -> None:
    """Print the last lines of a deployment's containers on Kubernetes."""
    planes, _ = _open()
    outputs = [
        output
        for people in _people(planes)
        for output in people.output(name, application, lines, previous=previous)
    ]
    for each in outputs:
        click.echo(f"== {each.pod}/{each.container}")
        for line in each.lines:
            click.echo(line)
    if not outputs:
        raise LookupError(f"{name}: no pods on {planes}. On plain Ray, see Ray's dashboard.")


@click.command()
@click.argument("name", required=False)
def diff(name: str | None) -> None:
    """Show what differs between a data plane and what was rolled out. Exits 2 on a difference.

    `slipway plan` compares the catalog with what was rolled out; this one finds edits by hand.
    """
    planes, revisions = _open()
    changed = 0
    for live in planes.status(name):
        record = revisions.get(live.deployment, live.spec_digest)
        if record is None or live.is_parked:
            continue
        found = planes.diff(record.applied)
        if found.action != "none":
            changed += 1
            click.echo(f"{found.action} {found.application}")
            for line in found.detail or found.fields:
                click.echo(f"    {line}")
    click.echo(f"{changed} differ" if changed else "nothing differs")
    sys.exit(2 if changed else 0)


@click.command()
@_NAME
@click.option("--to", help="Digest of the revision, or its beginning. Default: the last good one before.")
@options.CATALOG
def rollback(name: str, to: str | None, catalog: Path | None) -> None:
    """Go back to an earlier revision, once it serves and answers; what was newer is withdrawn."""
    from slipway.control import returning
    from slipway.dataplane.validation import validation

    known = options.load(catalog).catalog
    deployment = next((each for each in known.deployments if each.name == name), None)
    if deployment is None:
        raise LookupError(f"{name}: no such deployment in the catalog.")
    planes, revisions = _open()
    routes = _Routes(Environment.load())
    good = returning.chosen(revisions.all(name), routes.routed(name), to)
    gate = deployment.rollout.validation
    back = returning.return_to(
        planes,
        revisions,
        good,
        lambda revision: validation.validate(revision, gate),
        deployment.rollout.deadline_s,
        _report,
    )
    routes.switch(known, back, revisions)
    planes.publish(back.applied)
    click.echo(
        f"{name}: {back.application} has the route. The spec that it replaces is withdrawn: it is not rolled "
        f"out again until the catalog changes or `slipway resume {name}`."
    )


@click.command()
@_NAME
def pause(name: str) -> None:
    """Let rollouts of a deployment stand still on Kubernetes, their deadlines too, until `slipway resume`."""
    planes, _ = _open()
    found = [each for people in _people(planes) for each in people.pause(name, paused=True)]
    if not found:
        raise LookupError(f"{name}: nothing of it is on Kubernetes, and plain Ray cannot pause.")
    click.echo(f"{name} is paused: {', '.join(found)}")


@click.command()
@_NAME
def resume(name: str) -> None:
    """Let a paused deployment's rollouts go on, and a withdrawn spec be rolled out again."""
    from slipway.control import returning

    planes, revisions = _open()
    for people in _people(planes):
        people.pause(name, paused=False)
    wanted = returning.resume(revisions, name)
    again = f"; wanted again: {', '.join(each[:8] for each in wanted)}" if wanted else ""
    click.echo(f"{name} goes on{again}")


@click.command()
@options.CATALOG
@click.option("--data-plane", default="default", show_default=True, help="Which cluster.")
@click.option("--account", metavar="NAMESPACE/NAME", help="Bind them to this ServiceAccount, too.")
def roles(catalog: Path | None, data_plane: str, account: str | None) -> None:
    """Print the rights that Slipway needs for the catalog, for `kubectl apply -f -`; asks no cluster."""
    import yaml

    from slipway.dataplane.kubernetes.settings import cluster_settings
    from slipway.runtimes.cluster import rights
    from slipway.runtimes.rendering.cluster_settings import ObjectName

    holder = None
    if account is not None:
        namespace, slash, name = account.partition("/")
        if not (namespace and slash and name):
            raise click.BadParameter(f"{account} is no NAMESPACE/NAME.", param_hint="--account")
        holder = ObjectName(namespace, name)
    around = cluster_settings(Environment.load(), data_plane)
    made = rights.objects(options.load(catalog).catalog, data_plane, around, holder)
    click.echo(yaml.safe_dump_all(made, sort_keys=False), nl=False)


COMMANDS = (get, describe, logs, diff, rollback, pause, resume, roles)


class _Routes:
    """The published route table, as the gateways read it."""

    def __init__(self, environment: Environment) -> None:
        from slipway.objectstore import ObjectStore

        self._store = ObjectStore(environment.s3)

    def routed(self, name: str) -> str | None:
        """Digest that the table names for a deployment."""
        found = self._all().get(name)
        return found.spec_digest if found is not None else None

    def _all(self) -> dict[str, Any]:
        from slipway.control import routing
        from slipway.records import routes

        body = self._store.get(routes.KEY)
        return dict(routing.routed_revisions(routes.parse(body))) if body is not None else {}

    def switch(self, catalog: Any, back: Revision, revisions: RevisionStore) -> None:
        """Write the table with this revision; what others have stays. Gateways take it within a second."""
        from slipway.control import routing
        from slipway.records import routes

        targets = {}
        for name, each in self._all().items():
            record = revisions.get(name, each.spec_digest)
            if record is not None:
                targets[name] = routing.Target(record.spec_digest, record.upstream, record.engine_names)
        targets[back.deployment] = routing.Target(back.spec_digest, back.upstream, back.engine_names)
        known = {each.name for each in catalog.deployments}
        table = routing.table_of(catalog, {name: each for name, each in targets.items() if name in known})
        self._store.put(routes.KEY, routes.encode(table), content_type="application/json")


def _open() -> tuple[Planes, RevisionStore]:
    from slipway.dataplane.planes.connected import connected
    from slipway.objectstore import ObjectStore
    from slipway.records.revisions import RevisionStore

    environment = Environment.load()
    revisions = RevisionStore(ObjectStore(environment.s3))
    say: Callable[[str], None] = lambda line: click.echo(line, err=True)  # noqa: E731
    return connected(environment, revisions=revisions, say=say), revisions


def _people(planes: Planes) -> list[People]:
    return [each.people() for each in planes.kubernetes()]


def _report(progress: object) -> None:
    click.echo(str(progress))


def _row(live: LiveApplication, record: Revision | None) -> dict[str, Any]:
    return {
        "application": live.name,
        "deployment": live.deployment,
        "spec_digest": live.spec_digest,
        "runtime": (record.spec["deployment"]["runtime"] if record else "unknown"),
        "state": live.state,
        "recorded": record.state if record else "not recorded",
        "ready": live.replicas_ready,
        "wanted": live.replicas_wanted,
        "base_url": live.upstream,
        "names": list(record.served_names) if record else [],
        "engine_names": dict(record.engine_names) if record else {},
    }


def _names(row: dict[str, Any]) -> str:
    """What tenants ask the gateway for and, where it is another, what to ask for at the base URL itself."""
    own = row["engine_names"]
    return ", ".join(f"{name} (there {own[name]})" if name in own else name for name in row["names"])


def _say_revision(live: LiveApplication, record: Revision | None) -> None:
    row = _row(live, record)
    click.echo(f"{live.name}")
    lines = {
        "spec": live.spec_digest,
        "recorded": row["recorded"] + (f": {record.cause}" if record and record.cause else ""),
        "runtime": row["runtime"],
        "state": f"{live.state}, {live.replicas_ready}/{live.replicas_wanted} replicas, {live.message}",
        "base URL": live.upstream,
        "names": _names(row),
    }
    if record is not None:
        model = record.spec["model"]
        lines["model"] = f"{model['name']} {model['source']} at {model['commit']}, {record.task}"
        lines["applied"] = record.applied_at
    for title, line in lines.items():
        click.echo(f"  {title:<11}{line}")

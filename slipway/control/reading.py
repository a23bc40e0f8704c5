"""What is on the data planes, as a person asks: revisions with their records, output, edits by hand.

Belongs here: joining what is live with what was recorded. Does not: printing (slipway.commands), one cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from slipway.catalog import Catalog
from slipway.control.connections import Connections
from slipway.dataplane.protocol import Difference, LiveApplication
from slipway.environment import Environment
from slipway.records.revisions import Revision
from slipway.records.routes import Route

if TYPE_CHECKING:
    from slipway.dataplane.kubernetes.serving.reading import PodOutput
    from slipway.runtimes.judging.objects import Object


@dataclass(frozen=True)
class Placed:
    """One revision on a data plane, and its record: None where its rollout did not end."""

    live: LiveApplication
    record: Revision | None
    # What a cluster tells of it: conditions, pods, events.
    told: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Of its deployment, as published now.
    routes: tuple[Route, ...] = ()

    @property
    def runtime(self) -> str:
        """The runtime that it was rolled out on."""
        return str(self.record.spec["deployment"]["runtime"]) if self.record else "unknown"

    @property
    def state(self) -> str:
        """What the record says of it."""
        return self.record.state if self.record else "not recorded"

    @property
    def names(self) -> tuple[str, ...]:
        """Model names that tenants ask for: those of the routes; before there are any, its own."""
        if self.record is None:
            return ()
        return tuple(
            public
            for served in self.record.served_names
            for public in [r.model for r in self.routes if r.name_of_revision == served] or [served]
        )

    @property
    def engine_names(self) -> Mapping[str, str]:
        """The engine's own name of each of them that it does not know as it is."""
        if self.record is None:
            return {}
        served = {r.model: r.name_of_revision for r in self.routes}
        own = {name: served.get(name, name) for name in self.names}
        told = {name: self.record.engine_names.get(each, each) for name, each in own.items()}
        return {name: engine for name, engine in told.items() if engine != name}


def placed(at: Connections, name: str | None = None) -> list[Placed]:
    """Every revision that is on a data plane, of one deployment or of all."""
    routes = at.routes.latest().table.routes
    return [
        Placed(
            live,
            at.revisions.get(live.deployment, live.spec_digest),
            routes=tuple(route for route in routes if route.deployment == live.deployment),
        )
        for live in at.planes.confirmed(name)
    ]


def described(at: Connections, name: str) -> list[Placed]:
    """A deployment's revisions with what Kubernetes tells of each. Raises LookupError when there is none."""
    details = {k: v for cluster in at.planes.kubernetes() for k, v in cluster.people().describe(name).items()}
    revisions = []
    for revision in placed(at, name):
        detail = details.get(revision.live.name)
        titles = ("conditions", "pods", "events") if detail is not None else ()
        revisions.append(replace(revision, told={title: getattr(detail, title) for title in titles}))
    if not revisions:
        raise LookupError(_nothing(at, name))
    return revisions


def output(
    at: Connections, name: str, application: str | None, lines: int, *, previous: bool
) -> list[PodOutput]:
    """The last lines of a deployment's containers. Raises LookupError when there are no pods."""
    outputs = [
        pod_output
        for cluster in at.planes.kubernetes()
        for pod_output in cluster.people().output(name, application, lines, previous=previous)
    ]
    if not outputs:
        raise LookupError(f"{name}: no pods on {at.planes}. On plain Ray, see Ray's dashboard.")
    return outputs


def edited(at: Connections, name: str | None = None) -> Iterator[Difference]:
    """What differs between a data plane and what was rolled out: edits by hand. Changes nothing.

    Raises LookupError for a name of which nothing is there.
    """
    revisions = placed(at, name)
    if name is not None and not revisions:
        raise LookupError(_nothing(at, name))
    for revision in revisions:
        if revision.record is None or revision.live.is_parked:
            continue
        difference = at.planes.diff(revision.record.applied)
        if difference.action != "none":
            yield difference


def _nothing(at: Connections, name: str) -> str:
    return f"{name}: nothing of it is on {at.planes}. See `slipway get deployments`."


def rights(
    environment: Environment, catalog: Catalog, data_plane: str, account: tuple[str, str] | None
) -> list[Object]:
    """The rights that Slipway needs on a cluster for the catalog, as objects; asks no cluster.

    `account` is the namespace and name of a ServiceAccount that they are bound to, too.
    """
    from slipway.dataplane.kubernetes.settings import cluster_settings
    from slipway.runtimes.cluster import rights
    from slipway.runtimes.rendering.cluster_settings import ObjectName

    holder = ObjectName(*account) if account is not None else None
    return rights.objects(catalog, data_plane, cluster_settings(environment, data_plane), holder)

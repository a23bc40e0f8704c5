"""The part of `slipway plan` that Kubernetes clusters answer: what would happen to each of their objects.

Belongs here: asking every cluster of a catalog, with server-side dry runs, and saying it as changes.
Does not: comparing objects (slipway.dataplane), the rest of a plan (plans.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from slipway.catalog import Catalog, ResolvedDeployment, data_planes
from slipway.control.changes import Change
from slipway.control.cluster_parts import Drift
from slipway.control.connections import Connections
from slipway.dataplane.errors import DataPlaneError, DataPlaneUnreachableError
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.planes.planes import Planes
from slipway.records.revisions import Applied
from slipway.runtimes.rendering.cluster_settings import RenderError

_TITLES = {"data_plane": "DataPlane", "gateway": "Gateway"}


def part_changes(parts: Iterable[Drift]) -> Iterator[Change]:
    """What stands around deployments. What cannot be planned is `refused` with the reason."""
    for drift in parts:
        kind, name = _TITLES[drift.part.kind], drift.part.name
        if drift.trouble:
            yield Change("refused", kind, name, detail=(drift.trouble,))
        elif drift.plans:
            is_new = all(each.action == "create" for each in drift.plans)
            lines = tuple(line for each in drift.plans for line in each.lines())
            yield Change("create" if is_new else "update", kind, name, detail=lines)


def application_changes(
    at: Connections, catalog: Catalog, resolved: Mapping[str, ResolvedDeployment], chosen: Collection[str]
) -> Iterator[Change]:
    """Objects of the chosen deployments' revisions, edits by hand too; nothing is asked on plain Ray.

    What cannot be planned is `refused` with the reason, and hides nothing else.
    Raises DataPlaneUnreachableError.
    """
    for plane in data_planes.kubernetes(catalog):
        names = [each.name for each in data_planes.deployments(catalog, plane)]
        yield from _applications(at.planes, plane, [resolved[name] for name in names if name in chosen])


def _applications(planes: Planes, name: str, wanted: Sequence[ResolvedDeployment]) -> Iterator[Change]:
    """Objects of each deployment's revision: by few list calls for all, then dry runs of what differs."""
    if not wanted:
        return
    try:
        cluster = planes.cluster(name)
    except DataPlaneError:
        return  # said already, of the data plane itself
    rendered: list[Applied] = []
    for resolved in wanted:
        try:
            rendered.append(cluster.render(resolved))
        except (DataPlaneError, RenderError) as error:
            yield Change("refused", "Application", resolved.name, detail=(str(error),))
    for applied, difference in zip(rendered, cluster.diff_all(rendered), strict=True):
        if difference.action != "none":
            yield from _application(cluster, applied)


def _application(cluster: Kubernetes, applied: Applied) -> Iterator[Change]:
    try:
        difference = cluster.diff(applied)
    except DataPlaneUnreachableError:
        raise
    except DataPlaneError as error:
        yield Change("refused", "Application", applied.application, detail=(str(error),))
        return
    if difference.action != "none":
        yield Change(difference.action, "Application", difference.application, detail=difference.detail)

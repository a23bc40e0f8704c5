"""The part of `slipway plan` that Kubernetes clusters answer: what would happen to each of their objects.

Belongs here: asking every cluster of a catalog, with server-side dry runs, and saying it as changes.
Does not: comparing objects (slipway.dataplane), the rest of a plan (plans.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from slipway.catalog import Catalog, ResolvedDeployment, data_planes
from slipway.control import cluster_parts
from slipway.control.changes import Change
from slipway.dataplane.errors import DataPlaneError, DataPlaneUnreachableError
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.planes.planes import Planes
from slipway.records.revisions import Applied
from slipway.runtimes.rendering.cluster_settings import RenderError

_TITLES = {"data_plane": "DataPlane", "gateway": "Gateway"}


def changes(planes: Planes, catalog: Catalog, wanted: Mapping[str, ResolvedDeployment]) -> Iterator[Change]:
    """Every difference of every cluster; `wanted` are the catalog's deployments, by name.

    What cannot be planned is a change of its own, `refused` with the reason, and hides nothing else.
    Raises DataPlaneUnreachableError.
    """
    for drift in cluster_parts.drifts(planes, catalog, confirmed=True):
        kind, name = _TITLES[drift.part.kind], drift.part.name
        if drift.trouble:
            yield Change("refused", kind, name, detail=(drift.trouble,))
        elif drift.plans:
            is_new = all(each.action == "create" for each in drift.plans)
            lines = tuple(line for each in drift.plans for line in each.lines())
            yield Change("create" if is_new else "update", kind, name, detail=lines)
    for plane in data_planes.kubernetes(catalog):
        there = [wanted[each.name] for each in data_planes.deployments(catalog, plane)]
        yield from _applications(planes, plane, there)


def _applications(planes: Planes, name: str, wanted: Sequence[ResolvedDeployment]) -> Iterator[Change]:
    """Objects of each deployment's revision: by few list calls for all, then dry runs of what differs."""
    if not wanted:
        return
    try:
        cluster = planes.cluster(name)
    except DataPlaneError:
        return  # said already, of the data plane itself
    rendered: list[Applied] = []
    for each in wanted:
        try:
            rendered.append(cluster.render(each))
        except (DataPlaneError, RenderError) as error:
            yield Change("refused", "Application", each.name, detail=(str(error),))
    for applied, found in zip(rendered, cluster.diff_all(rendered), strict=True):
        if found.action != "none":
            yield from _application(cluster, applied)


def _application(cluster: Kubernetes, applied: Applied) -> Iterator[Change]:
    try:
        found = cluster.diff(applied)
    except DataPlaneUnreachableError:
        raise
    except DataPlaneError as error:
        yield Change("refused", "Application", applied.application, detail=(str(error),))
        return
    if found.action != "none":
        yield Change(found.action, "Application", found.application, detail=found.detail)

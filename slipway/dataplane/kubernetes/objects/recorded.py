"""A rendered revision as the plane-neutral record: what is kept in S3 and can be brought back from there.

Belongs here: both directions of that. Pure. Does not: rendering (slipway.runtimes), applying (apply.py).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from slipway.catalog.resolved import ResolvedDeployment
from slipway.records.revisions import Applied
from slipway.runtimes.judging.objects import Object, Ref, labels_of, ref_of
from slipway.runtimes.judging.verdict import Wanted
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.rendered import Address, Rendered

# On the workload, for who reads the cluster without any record: the base URL, and the names in requests.
ENDPOINT = "slipway.dev/endpoint"


def record(resolved: ResolvedDeployment, rendered: Rendered) -> Applied:
    """The record of a rendered revision."""
    workload = asdict(rendered.workload)
    marked = [_with_endpoint(obj, rendered) for obj in rendered.objects]
    return Applied(
        application=identity.object_name(resolved),
        deployment=resolved.name,
        spec_digest=resolved.spec_digest,
        rendered={
            "data_plane": resolved.deployment.data_plane,
            "runtime": resolved.deployment.runtime,
            "workload": workload,
            "objects": marked,
            "public": [copy.deepcopy(obj) for obj in rendered.public],
            "address": asdict(rendered.address),
            "engine_names": dict(rendered.engine_names),
        },
    )


def _with_endpoint(obj: Object, rendered: Rendered) -> Object:
    made = copy.deepcopy(obj)
    workload = rendered.workload
    if ref_of(obj) == Ref(workload.api_version, workload.kind, workload.namespace, workload.name):
        made["metadata"].setdefault("annotations", {})[ENDPOINT] = rendered.address.base_url
    return made


def objects(applied: Applied) -> list[Object]:
    """Objects of the revision itself, in the order of applying."""
    return list(applied.rendered["objects"])


def public(applied: Applied) -> list[Object]:
    """Objects under stable names, applied when traffic moves to the revision."""
    return list(applied.rendered.get("public") or ())


def without_public(applied: Applied, live: Mapping[Ref, Object]) -> dict[Ref, Object]:
    """`live` without the stable names that lead to this revision, which are not `apply`'s to take away."""
    stable = {ref_of(each) for each in public(applied)}
    return {ref: obj for ref, obj in live.items() if ref not in stable}


def workload(applied: Applied) -> Ref:
    """The object whose status says whether the revision serves."""
    fields: Mapping[str, str] = applied.rendered["workload"]
    return Ref(fields["api_version"], fields["kind"], fields["namespace"], fields["name"])


def address(applied: Applied) -> Address:
    """Where requests go."""
    fields: Mapping[str, Any] = applied.rendered["address"]
    return Address(**fields)


def wanted(applied: Applied) -> Wanted:
    """What a judge needs to know of the revision."""
    ref = workload(applied)
    rendered = next(each for each in objects(applied) if ref_of(each) == ref)
    return Wanted(applied.application, applied.deployment, applied.spec_digest, ref, rendered)


def namespaces(objs: Sequence[Object]) -> tuple[str, ...]:
    """Namespaces of these objects, in their order."""
    return tuple(dict.fromkeys(each["metadata"].get("namespace", "") for each in objs))


def instances(objs: Sequence[Object]) -> tuple[str, ...]:
    """Applications that these objects belong to; one, but for those that share a RayService."""
    names = (labels_of(obj).get(identity.INSTANCE) for obj in objs)
    return tuple(dict.fromkeys(name for name in names if name))

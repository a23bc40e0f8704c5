"""What goes, and in which order: objects that Slipway applied, and nobody wants any more.

Belongs here: whose an object is, the order of removal. Pure. Does not: removing (apply.py), what is wanted
and which kinds runtimes make of their own (slipway.runtimes).

The order: first what would bring replicas back (autoscalers), then what leads traffic in (routes), then the
workload, whose pods end after their grace; only when they have ended their Service and what protects them
(NetworkPolicy, PodDisruptionBudget), as requests that drain still need both; then what they mounted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.dataplane.kubernetes.api.client import FIELD_MANAGER
from slipway.dataplane.kubernetes.objects import owned_fields
from slipway.runtimes import registry
from slipway.runtimes.judging.objects import Object, Ref, is_owned, ref_of

KindName = tuple[str, str]

# Of gateways: they ship to the store while they end, as their policy lets them.
_GATEWAYS: tuple[KindName, ...] = (("apps/v1", "StatefulSet"),)
# Of every runtime.
_AUTOSCALERS: tuple[KindName, ...] = (
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("keda.sh/v1alpha1", "ScaledObject"),
)
_ROUTES: tuple[KindName, ...] = (
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
)
_SERVICES: tuple[KindName, ...] = (
    ("v1", "Service"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
)
_MOUNTED: tuple[KindName, ...] = (("v1", "ServiceAccount"),)


def workloads() -> tuple[KindName, ...]:
    """Kinds that stand for a revision."""
    return tuple((kind.api_version, kind.kind) for kind in registry.workloads().values())


def order() -> tuple[tuple[KindName, ...], ...]:
    """The kinds that Slipway makes of revisions, in the steps of their removal."""
    own = registry.kinds()
    routes = tuple((kind.api_version, kind.kind) for kind in own if kind.goes == "with routes")
    mounted = tuple((kind.api_version, kind.kind) for kind in own if kind.goes == "with mounts")
    return (_AUTOSCALERS, _ROUTES + routes, workloads() + _GATEWAYS, _SERVICES, mounted + _MOUNTED)


def kinds() -> tuple[KindName, ...]:
    """All of them."""
    return tuple(kind for step in order() for kind in step)


def step_of(ref: Ref) -> int:
    """In which step of the order an object goes; kinds that Slipway does not make go last."""
    kind, steps = (ref.api_version, ref.kind), order()
    return next((number for number, kinds in enumerate(steps) if kind in kinds), len(steps))


def is_autoscaler(ref: Ref) -> bool:
    """Whether it writes the replicas of something else."""
    return (ref.api_version, ref.kind) in _AUTOSCALERS


def steps(refs: Iterable[Ref]) -> list[list[Ref]]:
    """References in the order of removal, those of one step together."""
    by_step: dict[int, list[Ref]] = {}
    for ref in refs:
        by_step.setdefault(step_of(ref), []).append(ref)
    return [sorted(by_step[number]) for number in sorted(by_step)]


def is_ours(live: Object) -> bool:
    """Whether Slipway itself applied it: operators copy labels to what they make, and that is theirs."""
    made_by_another = any(owner.get("controller") for owner in live["metadata"].get("ownerReferences") or ())
    return is_owned(live) and not made_by_another and owned_fields.of_manager(live, FIELD_MANAGER) is not None


def to_prune(wanted: Iterable[Object], live: Mapping[Ref, Object]) -> list[Ref]:
    """Of the objects of an application those that it does not have any more."""
    kept = {ref_of(each) for each in wanted}
    return [ref for ref, obj in live.items() if ref not in kept and is_ours(obj)]

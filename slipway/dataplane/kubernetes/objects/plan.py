"""What a rollout would do to each object: create, update, replace, delete, or nothing.

Belongs here: the decision from what is wanted and what is there. Pure.
Does not: comparing one object (diff.py), listing and carrying out (apply.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from slipway.dataplane.kubernetes.api.errors import Owner
from slipway.dataplane.kubernetes.objects import prune
from slipway.dataplane.kubernetes.objects.diff import FieldChange, compare, stamped
from slipway.runtimes import registry
from slipway.runtimes.judging.objects import Object, Ref, is_deleted, ref_of

Action = Literal["create", "update", "replace", "delete", "none"]

# Fields that cannot change on an object that exists; others are found by the server's dry run.
_IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "StatefulSet": (
        "spec.selector",
        "spec.serviceName",
        "spec.podManagementPolicy",
        "spec.volumeClaimTemplates",
    ),
    "Service": ("spec.clusterIP",),
    "PersistentVolumeClaim": ("spec.storageClassName", "spec.accessModes", "spec.volumeName"),
}

# People's tools: what they changed by hand on an object of Slipway's is put right.
_BY_HAND = "kubectl"
# Who writes `replicas` for an autoscaler; when the deployment has none any more, the number is ours again.
_SCALERS = frozenset({"kube-controller-manager", "keda-operator"})


@dataclass(frozen=True)
class ObjectPlan:
    """What happens to one object, and why."""

    ref: Ref
    action: Action
    changes: tuple[FieldChange, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """For a person: the object, then each field."""
        if self.action == "none":
            return ()
        return (f"{self.action} {self.ref}", *(f"  {change}" for change in self.changes))


def plan(wanted: Sequence[Object], live: Mapping[Ref, Object]) -> tuple[ObjectPlan, ...]:
    """The plan of one application; `live` are the objects that carry its labels.

    Autoscalers that go, go first: they would write the replicas that are applied.
    """
    kept = tuple(plan_object(obj, live.get(ref_of(obj))) for obj in wanted)
    gone = [ObjectPlan(ref, "delete") for ref in _in_order(prune.to_prune(wanted, live))]
    first = tuple(each for each in gone if prune.is_autoscaler(each.ref))
    return (*first, *kept, *(each for each in gone if each not in first))


def _in_order(refs: Iterable[Ref]) -> list[Ref]:
    return [ref for step in prune.steps(refs) for ref in step]


def plan_object(wanted: Object, live: Object | None) -> ObjectPlan:
    """What happens to one object that is wanted."""
    ref = ref_of(wanted)
    if live is None:
        return ObjectPlan(ref, "create")
    if is_deleted(live):
        return ObjectPlan(ref, "replace")
    changes = compare(stamped(wanted), live)
    if not changes:
        return ObjectPlan(ref, "none")
    immutable = _IMMUTABLE.get(ref.kind, ())
    replaced = any(change.field.startswith(immutable) for change in changes) if immutable else False
    return ObjectPlan(ref, "replace" if replaced else "update", changes)


def may_take(kind: str, owner: Owner, *, is_autoscaled: bool) -> bool:
    """Whether Slipway takes a field back without being told to: an edit by hand, or a number left behind.

    `is_autoscaled`: some autoscaler keeps the object's replicas, and those are left to it.
    """
    if _is_replicas(owner.field) and is_autoscaled:
        return False
    if owner.manager.startswith(_BY_HAND):
        return True
    if _is_replicas(owner.field) and owner.manager in _SCALERS:
        return True
    # An operator that writes an object back with its finalizer owns what it fills in.
    workload = registry.workloads().get(kind)
    return workload is not None and owner.field.startswith(workload.operator_writes)


def _is_replicas(field: str) -> bool:
    return field.lstrip(".") == "spec.replicas"

"""Carrying a plan out: dry run of all, then apply, replace and delete one by one; conflicts decided.

Belongs here: the order of calls, and what happens on a conflict. Does not: deciding the plan (plan.py).
Every step does nothing when it is done, so a run that was killed is completed by running it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from slipway.dataplane.errors import ConfigRefusedError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.errors import (
    FieldConflictError,
    ImmutableFieldError,
    StuckDeletionError,
)
from slipway.dataplane.kubernetes.api.refusals import conflict_message
from slipway.dataplane.kubernetes.objects import plan as planning
from slipway.dataplane.kubernetes.objects import prune
from slipway.dataplane.kubernetes.objects.diff import stamped
from slipway.dataplane.kubernetes.objects.plan import ObjectPlan
from slipway.runtimes.judging.objects import Object, Ref, is_deleted, is_owned, ref_of, uid

GONE_DEADLINE_S = 60.0
_GONE_POLL_S = 0.25
# Kubernetes' own, on what is deleted in the foreground.
_FOREGROUND = "foregroundDeletion"

Say = Callable[[str], None]


class Applier:
    """Changes objects of one API server. `force` takes every field that is in conflict.

    `gone_deadline_s` is how long an object that was deleted may take to go, besides its pods' grace.
    """

    def __init__(
        self, api: KubernetesApi, *, force: bool = False, gone_deadline_s: float = GONE_DEADLINE_S
    ) -> None:
        self._api = api
        self._force = force
        self._gone_deadline_s = gone_deadline_s

    def confirmed(self, plans: Iterable[ObjectPlan], wanted: Mapping[Ref, Object]) -> tuple[ObjectPlan, ...]:
        """The plans with what only the server knows, by a dry run of each change: what must be replaced.

        Raises ConfigRefusedError for what would be refused. Changes nothing.
        """
        return tuple(self._confirm(each, wanted) for each in plans)

    def _confirm(self, planned: ObjectPlan, wanted: Mapping[Ref, Object]) -> ObjectPlan:
        if planned.action not in ("create", "update"):
            return planned
        try:
            applied = self._apply(wanted[planned.ref], dry_run=True)
        except ConfigRefusedError as error:
            self._refuse_foreign(planned.ref)
            if not isinstance(error, ImmutableFieldError):
                raise
            return replace(planned, action="replace")
        # Nothing that is created has a version yet: what has one was there, and not looked for or not ours.
        if planned.action == "create" and applied["metadata"].get("resourceVersion"):
            self._refuse_foreign(planned.ref)
            if is_deleted(applied):
                return replace(planned, action="replace")
        return planned

    def _refuse_foreign(self, ref: Ref) -> None:
        """An object of that name that is not Slipway's is never adopted, however little would change."""
        live = self._api.get(ref)
        if live is not None and not is_owned(live):
            raise ConfigRefusedError(
                f"{ref} exists and is not Slipway's. Rename the deployment, or remove the object; or give "
                "it to Slipway: kubectl label it app.kubernetes.io/managed-by=slipway."
            )

    def carry_out(self, plans: Sequence[ObjectPlan], wanted: Mapping[Ref, Object], say: Say) -> None:
        """Do what was planned, in the order of the plan."""
        for planned in plans:
            if planned.action == "none":
                continue
            say(str(planned.lines()[0]))
            if planned.action == "delete":
                self.delete([planned.ref], say)
                continue
            if planned.action == "replace":
                self.delete([planned.ref], say)
            self._apply(wanted[planned.ref], say=say)

    def apply(self, obj: Object) -> Object:
        """Apply one object, conflicts decided as in a plan."""
        return self._apply(obj)

    def _apply(self, obj: Object, *, dry_run: bool = False, say: Say | None = None) -> Object:
        try:
            return self._api.apply(stamped(obj), dry_run=dry_run, force=self._force)
        except FieldConflictError as conflict:
            self._refuse_conflict(obj, conflict)
            if say is not None:
                taken = ", ".join(
                    f"{owner.field.lstrip('.')} from {owner.manager}" for owner in conflict.owners
                )
                say(f"taking back {taken}")
            return self._api.apply(stamped(obj), dry_run=dry_run, force=True)

    def _refuse_conflict(self, obj: Object, conflict: FieldConflictError) -> None:
        ref = ref_of(obj)
        scaled = self._is_autoscaled(ref)
        kept = [
            owner for owner in conflict.owners if not planning.may_take(ref.kind, owner, is_autoscaled=scaled)
        ]
        if kept:
            raise FieldConflictError(conflict_message(str(ref), tuple(kept)), tuple(kept)) from conflict

    def _is_autoscaled(self, ref: Ref) -> bool:
        """Whether a HorizontalPodAutoscaler, whoever made it (KEDA makes one, too), targets the object."""
        autoscalers = self._api.list("autoscaling/v2", "HorizontalPodAutoscaler", ref.namespace).objects
        targets = [
            autoscaler["spec"]["scaleTargetRef"] for autoscaler in autoscalers if not is_deleted(autoscaler)
        ]
        return any(target["kind"] == ref.kind and target["name"] == ref.name for target in targets)

    def delete(self, refs: Iterable[Ref], say: Say) -> None:
        """Remove objects step by step in the order that drains, each step gone before the next.

        Raises StuckDeletionError when one does not go, because a finalizer does not end.
        """
        for step in prune.steps(refs):
            live = {ref: obj for ref in step if (obj := self._api.get(ref)) is not None}
            for ref, obj in live.items():
                if not is_deleted(obj):
                    # In the foreground: the object goes when its pods have ended.
                    self._api.delete(ref, expect_uid=uid(obj), propagation="Foreground")
            grace_s = max((longest_grace_s(obj) for obj in live.values()), default=0.0)
            left = [(ref, uid(obj)) for ref, obj in live.items()]
            self._until_gone(left, say, self._gone_deadline_s + grace_s)

    def _until_gone(self, left: list[tuple[Ref, str]], say: Say, deadline_s: float) -> None:
        end = time.monotonic() + deadline_s
        told = 0
        while left := [(ref, known) for ref, known in left if self._is_there(ref, known)]:
            if len(left) != told:
                say(f"waiting for the end of {', '.join(str(ref) for ref, _ in left[:3])}")
                told = len(left)
            if time.monotonic() >= end:
                raise self._stuck(left[0][0], deadline_s)
            time.sleep(_GONE_POLL_S)

    def _is_there(self, ref: Ref, known: str) -> bool:
        live = self._api.get(ref)
        return live is not None and uid(live) == known

    def _stuck(self, ref: Ref, deadline_s: float) -> StuckDeletionError:
        live = self._api.get(ref)
        finalizers = (live or {}).get("metadata", {}).get("finalizers") or ["none"]
        return StuckDeletionError(
            f"{ref} was deleted {deadline_s:g} s ago and is still there: {_held(ref, finalizers)} "
            "Then run this again."
        )


def _held(ref: Ref, finalizers: list[str]) -> str:
    """What holds a deleted object, and how it is let go."""
    if finalizers == [_FOREGROUND]:
        return (
            f"it waits for the end of its pods. See kubectl get pods -n {ref.namespace} -o wide: those on a "
            "node that does not answer end when it is back, or removed (`kubectl delete node`)."
        )
    return (
        f"its finalizers are {', '.join(finalizers)}. Start the controller that ends them, or remove them: "
        f"kubectl patch {ref.kind.lower()} {ref.name} -n {ref.namespace} --type merge "
        """-p '{"metadata":{"finalizers":null}}'."""
    )


def longest_grace_s(obj: object) -> float:
    """The longest time that a pod of this object may take to end, in seconds."""
    if isinstance(obj, Mapping):
        own = obj.get("terminationGracePeriodSeconds") or 0
        return max(float(own), *(longest_grace_s(each) for each in obj.values()), 0.0)
    if isinstance(obj, list):
        return max((longest_grace_s(each) for each in obj), default=0.0)
    return 0.0

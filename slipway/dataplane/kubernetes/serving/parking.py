"""Parking a revision at zero replicas, and waking one: changes of one field that keep all others.

Belongs here: what parked means for each kind, as a change of what Slipway applied. Pure.
Does not: applying it (kubernetes.py), when a revision is parked (slipway.control.rollout).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.dataplane.kubernetes.api.client import FIELD_MANAGER
from slipway.dataplane.kubernetes.objects import owned_fields
from slipway.dataplane.kubernetes.objects.diff import APPLIED
from slipway.runtimes.judging.objects import Object, annotations_of
from slipway.runtimes.kserve.judge import STOP

PARKED = "slipway.dev/parked"

# Kinds without a zero (Dynamo keeps a worker; a RayService is shared) are removed instead, their spec kept.
_REPLICAS = frozenset({"Deployment", "LeaderWorkerSet", "NIMService"})


def can_park(kind: str) -> bool:
    """Whether a workload of this kind can be kept at zero."""
    return kind in _REPLICAS or kind in ("Model", "InferenceService", "LLMInferenceService")


def is_parked(workload: Mapping[str, Any]) -> bool:
    """Whether Slipway keeps this one at zero."""
    return annotations_of(workload).get(PARKED) == "true"


def parked(workload: Object) -> Object | None:
    """The workload as it is applied to park it; None when Slipway never applied it."""
    found = owned_fields.extract(workload, FIELD_MANAGER)
    if found is None:
        return None
    notes = found["metadata"].setdefault("annotations", {})
    notes.pop(APPLIED, None)
    notes[PARKED] = "true"
    kind, spec = found["kind"], found["spec"]
    if kind in _REPLICAS:
        spec["replicas"] = 0
        if "scale" in spec:  # NIM: replicas and an autoscaler exclude each other
            spec["scale"] = {"enabled": False}
    elif kind == "Model":
        spec.update(minReplicas=0, maxReplicas=0)
    else:
        notes[STOP] = "true"
    return found

"""Parking a revision at zero replicas: a change of what Slipway applied that keeps all else.

Belongs here: marking it, and joining that to what its kind says. Pure.
Does not: what zero means for a kind (the runtime's adapter), applying it (slipway.dataplane.kubernetes), when
a revision is parked (slipway.control.rollout).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.dataplane.kubernetes.objects.applied import as_applied
from slipway.runtimes import registry
from slipway.runtimes.judging.objects import Object, annotations_of

PARKED = "slipway.dev/parked"


def can_park(kind: str) -> bool:
    """Whether a workload of this kind can be kept at zero; others are removed instead, their spec kept."""
    return registry.workload(kind).park is not None


def is_parked(workload: Mapping[str, Any]) -> bool:
    """Whether Slipway keeps this one at zero."""
    return annotations_of(workload).get(PARKED) == "true"


def parked(workload: Object) -> Object | None:
    """The workload as it is applied to park it; None when it cannot be, or Slipway never applied it."""
    applied, park = as_applied(workload), registry.workload(workload["kind"]).park
    if applied is None or park is None:
        return None
    park(applied)
    applied["metadata"].setdefault("annotations", {})[PARKED] = "true"
    return applied

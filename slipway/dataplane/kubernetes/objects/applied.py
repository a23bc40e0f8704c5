"""An object as Slipway applied it, to apply it again with a change: what others wrote is left out.

Belongs here: reading that off a live object. Pure. Does not: applying (apply.py).
"""

from __future__ import annotations

from slipway.dataplane.kubernetes.api.client import FIELD_MANAGER
from slipway.dataplane.kubernetes.objects import owned_fields
from slipway.dataplane.kubernetes.objects.diff import APPLIED
from slipway.runtimes.judging.objects import Object


def as_applied(live: Object) -> Object | None:
    """A copy of what Slipway owns of a live object; None when it never applied it."""
    applied = owned_fields.extract(live, FIELD_MANAGER)
    if applied is not None:
        applied["metadata"].get("annotations", {}).pop(APPLIED, None)
    return applied

"""Objects as plain dicts, and references to them.

Belongs here: reading names, labels and digests off any object. Pure.
Does not: fetching them (slipway.dataplane.kubernetes.api), one runtime's status (its room).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.runtimes.rendering import identity

Object = dict[str, Any]


@dataclass(frozen=True, order=True)
class Ref:
    """Names one object; `namespace` is empty for cluster-wide kinds."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"

    @property
    def group(self) -> str:
        """API group; empty for the core one."""
        return self.api_version.partition("/")[0] if "/" in self.api_version else ""


def ref_of(obj: Mapping[str, Any]) -> Ref:
    """The reference of an object that says its own apiVersion and kind."""
    named = obj["metadata"]
    return Ref(obj["apiVersion"], obj["kind"], named.get("namespace", ""), named["name"])


def labels_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Labels, an empty mapping where there are none."""
    return (obj.get("metadata") or {}).get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Annotations, an empty mapping where there are none."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def uid(obj: Mapping[str, Any]) -> str:
    """The object's uid, empty for one that was never stored."""
    return str((obj.get("metadata") or {}).get("uid") or "")


def is_owned(obj: Mapping[str, Any]) -> bool:
    """Whether the object carries Slipway's ownership label."""
    return labels_of(obj).get(identity.MANAGED_BY) == identity.SLIPWAY


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    """One entry of `status.conditions`, None while it is not there."""
    for reported in (obj.get("status") or {}).get("conditions") or ():
        if reported.get("type") == kind:
            return dict(reported)
    return None


def is_true(obj: Mapping[str, Any], kind: str) -> bool:
    """Whether a condition is there and True."""
    reported = condition(obj, kind)
    return reported is not None and reported.get("status") == "True"


def is_observed(obj: Mapping[str, Any]) -> bool:
    """Whether the controller has seen the newest spec: observedGeneration >= generation."""
    seen = (obj.get("status") or {}).get("observedGeneration")
    return seen is not None and int(seen) >= int(obj["metadata"].get("generation") or 0)


def is_deleted(obj: Mapping[str, Any]) -> bool:
    """Whether somebody has asked for the object's end."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def event_time(event: Object) -> str:
    """When an event was last seen; RFC 3339 in UTC sorts as text."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(event.get("lastTimestamp") or series or event.get("eventTime") or "")

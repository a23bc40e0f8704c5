"""Namespaces of tests: made ready for pods, removed whatever is in them.

Belongs here: creation, removal with finalizers that nobody else takes away. Does not: isolation (Slipway's).
"""

import contextlib
import time
from collections.abc import Iterable, Mapping

from kubernetes.client.exceptions import ApiException

from testbed.cluster.objects import Object, Objects, eventually

# What would make pods again, owners first.
_WORKLOADS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
)
_PATIENCE_S = 10.0
_DEADLINE_S = 60.0


def create(objects: Objects, name: str, labels: Mapping[str, str]) -> None:
    """Create, and wait for the `default` ServiceAccount, without which no pod can be made."""
    objects.call(
        "POST", objects.path("v1", "Namespace"), {"metadata": {"name": name, "labels": dict(labels)}}
    )
    eventually(lambda: objects.get("v1", "ServiceAccount", "default", name), f"ServiceAccount in {name}")


def delete(objects: Objects, name: str) -> None:
    """Begin the end of a namespace: its pods go at once; the rest takes its controller 5 s and more."""
    if objects.get("v1", "Namespace", name) is None:
        return
    for api_version, kind in _WORKLOADS:
        objects.call("DELETE", objects.path(api_version, kind, name))
    objects.call("DELETE", objects.path("v1", "Pod", name), {"gracePeriodSeconds": 0})
    objects.delete("v1", "Namespace", name)


def wait_until_gone(objects: Objects, names: Iterable[str]) -> None:
    """Wait for the end of namespaces; finalizers that nobody takes away in 10 s are removed.

    Raises AssertionError when one is still there after a minute.
    """
    begun = time.monotonic()
    left = list(names)
    while left := [name for name in left if objects.get("v1", "Namespace", name) is not None]:
        waited = time.monotonic() - begun
        if waited > _DEADLINE_S:
            raise AssertionError(f"still there: {[objects.get('v1', 'Namespace', name) for name in left]}")
        if waited > _PATIENCE_S:
            for name in left:
                _release(objects, name)
        time.sleep(0.5)


def _release(objects: Objects, namespace: str) -> None:
    """Take the finalizers away from all that is left in the namespace."""
    for api_version, kind in _namespaced_kinds(objects):
        with contextlib.suppress(ApiException, LookupError):
            for each in objects.list(api_version, kind, namespace):
                if each["metadata"].get("finalizers"):
                    _without_finalizers(objects, api_version, kind, namespace, each)


def _without_finalizers(objects: Objects, api_version: str, kind: str, namespace: str, found: Object) -> None:
    path = objects.path(api_version, kind, namespace, found["metadata"]["name"])
    current = objects.call("GET", path)
    current["metadata"]["finalizers"] = []
    objects.call("PUT", path, current)


def _namespaced_kinds(objects: Objects) -> list[tuple[str, str]]:
    groups = objects.call("GET", "/apis")["groups"]
    versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
    kinds = []
    for version in versions:
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        with contextlib.suppress(ApiException):  # an aggregated API server that is away
            for each in objects.call("GET", path)["resources"]:
                if each["namespaced"] and "/" not in each["name"] and "list" in each["verbs"]:
                    kinds.append((version, each["kind"]))
    return kinds

"""Objects as an API server would give them, for verdicts: only what a judge reads."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from slipway.runtimes.judging.objects import Object, Ref, is_true
from slipway.runtimes.judging.verdict import Seen, Wanted
from slipway.runtimes.rendering import identity

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NEW, OLD = "a" * 64, "b" * 64
NAME, NAMESPACE = "chat-aaaaaaaa", "slipway"


def wanted(api_version: str, kind: str, rendered: Object | None = None, **fields: Any) -> Wanted:
    """The new revision on a workload of this kind."""
    ref = Ref(api_version, kind, NAMESPACE, fields.pop("workload", NAME))
    return Wanted(fields.pop("application", NAME), "chat", NEW, ref, rendered or {})


def seen(*objects: Object, unchanged_s: float = 0.0, dashboard: Any = None) -> Seen:
    """What is observed at NOW."""
    by_kind: dict[str, tuple[Object, ...]] = {}
    for each in objects:
        by_kind[each["kind"]] = (*by_kind.get(each["kind"], ()), each)
    return Seen(by_kind, NOW, unchanged_s, dashboard)


def conditions(**found: Any) -> list[dict[str, Any]]:
    """`Ready=True` or `Ready=("False", "reason", "message")`."""
    rows = []
    for kind, value in found.items():
        status, reason, message = (str(value), "", "") if not isinstance(value, tuple) else value
        since = (NOW - timedelta(seconds=60)).isoformat()
        row = {"type": kind, "status": status, "reason": reason, "message": message}
        rows.append({**row, "lastTransitionTime": since})
    return rows


def custom(kind: str, digest: str = NEW, *, generation: int = 2, spec: Any = None, **status: Any) -> Object:
    """A custom resource with our annotation; `status` is its status."""
    return {
        "kind": kind,
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "generation": generation,
            "annotations": {identity.SPEC_DIGEST: digest},
            "labels": {identity.INSTANCE: NAME, identity.DEPLOYMENT: "chat"},
        },
        "spec": spec or {},
        "status": status,
    }


def deployment(
    digest: str = NEW,
    *,
    name: str = NAME,
    replicas: int = 2,
    updated: int | None = None,
    available: int | None = None,
    total: int | None = None,
    generation: int = 2,
    observed: int | None = None,
    **found: Any,
) -> Object:
    """A Deployment that is done, but for what is said."""
    status = {
        "observedGeneration": generation if observed is None else observed,
        "replicas": replicas if total is None else total,
        "updatedReplicas": replicas if updated is None else updated,
        "availableReplicas": replicas if available is None else available,
        "conditions": conditions(**{"Available": True, "Progressing": True, **found}),
    }
    template = {"metadata": {"annotations": {identity.SPEC_DIGEST: digest}}, "spec": {"containers": []}}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "generation": generation},
        "spec": {"replicas": replicas, "template": template},
        "status": status,
    }


def pod(
    number: int = 0,
    digest: str | None = NEW,
    *,
    ready: bool = True,
    ending: bool = False,
    labels: dict[str, str] | None = None,
    in_env: bool = False,
    age_s: float = 60,
    container: dict[str, Any] | None = None,
    unscheduled: str = "",
) -> Object:
    """A pod; `container` is merged into its one container's status."""
    noted = {} if in_env or digest is None else {identity.SPEC_DIGEST: digest}
    env = [{"name": identity.SPEC_DIGEST_ENV, "value": digest}] if in_env and digest else []
    status = {
        "name": "main",
        "ready": ready,
        "restartCount": 0,
        "state": {"running": {}},
        **(container or {}),
    }
    scheduled = ("False", "Unschedulable", unscheduled) if unscheduled else True
    metadata: dict[str, Any] = {
        "name": f"{NAME}-{number}",
        "namespace": NAMESPACE,
        "annotations": noted,
        "labels": labels or {},
        "creationTimestamp": (NOW - timedelta(seconds=age_s)).isoformat(),
    }
    if ending:
        metadata["deletionTimestamp"] = NOW.isoformat()
    return {
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", "env": env}]},
        "status": {
            "phase": "Pending" if unscheduled else "Running",
            "conditions": conditions(Ready=ready, PodScheduled=scheduled),
            "containerStatuses": [] if unscheduled else [status],
        },
    }


def waiting_for(reason: str, message: str = "") -> dict[str, Any]:
    """A container's status that waits."""
    return {"ready": False, "state": {"waiting": {"reason": reason, "message": message}}}


def crashed(restarts: int, *, oom: bool = False) -> dict[str, Any]:
    """A container's status after some restarts."""
    ended = {"exitCode": 137, "reason": "OOMKilled"} if oom else {"exitCode": 1, "reason": "Error"}
    return {
        "ready": False,
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": ended},
    }


@dataclass(frozen=True)
class Trap:
    """`naive` is what tools go by; it holds although the new spec does not serve."""

    wanted: Wanted
    seen: Seen
    naive: Callable[[Seen], bool]
    expected: str = "waiting"


def ready(kind: str) -> Callable[[Seen], bool]:
    """The condition Ready, as `kubectl wait --for=condition=Ready` reads it."""
    return lambda found: is_true(found.of(kind)[0], "Ready")

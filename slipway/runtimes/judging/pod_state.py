"""Judging pods: which spec they carry, whether they are ready, and why one will never be.

Belongs here: what holds for the pods of every runtime. Pure. Does not: how many there should be.
Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway.runtimes.judging.objects import Object, annotations_of, condition, is_deleted, is_true
from slipway.runtimes.rendering import identity

# A secret or config map that another controller writes may come a moment later than the pod.
CONFIG_GRACE_S = 30.0
_CRASHES, _OOM_CRASHES = 3, 2
# What a kubelet says of a container that was gone when it looked: the node, or containerd, was restarted.
_LOST = frozenset({"Unknown", "ContainerStatusUnknown"})

_NO_IMAGE = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff"})
_MISCONFIGURED = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
# What container runtimes say of an image or its registry that asking again does not change; the rest may be
# the network. They pass the registry's words on, and nothing typed.
_FINAL_PULL = re.compile(
    r"not ?found|manifest unknown|unauthorized|forbidden|denied|authorization failed|no basic auth"
    r"|invalid reference|x509:",
    re.I,
)


@dataclass(frozen=True)
class Trouble:
    """Why a pod does not serve. `is_final`: waiting longer is no use."""

    pod: str
    message: str
    is_final: bool


def living(pods: Iterable[Object]) -> list[Object]:
    """Pods that nobody has asked to end and that have not ended."""
    return [each for each in pods if not is_deleted(each) and phase(each) not in ("Failed", "Succeeded")]


def phase(pod: Object) -> str:
    """`status.phase`."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_ready(pod: Object) -> bool:
    """Whether it takes requests, and is not about to go."""
    return not is_deleted(pod) and is_true(pod, "Ready")


def digest_of(pod: Object) -> str | None:
    """The spec digest that a pod, or a pod template, carries: its annotation, else its environment."""
    noted = annotations_of(pod).get(identity.SPEC_DIGEST)
    return noted or environment_digest(pod)


def environment_digest(pod: Object) -> str | None:
    """The digest in the environment of any container; operators that take no annotations still pass it on."""
    for container in (pod.get("spec") or {}).get("containers") or ():
        for variable in container.get("env") or ():
            if variable.get("name") == identity.SPEC_DIGEST_ENV:
                return str(variable.get("value"))
    return None


def carrying(pods: Iterable[Object], digest: str) -> list[Object]:
    """Those that carry this digest."""
    return [each for each in pods if digest_of(each) == digest]


def trouble(pods: Sequence[Object], now: datetime) -> Trouble | None:
    """The worst that is seen of these pods: what is final before what may pass; None when all is well."""
    troubles = [each for pod in living(pods) for each in _troubles(pod, now)]
    return next((each for each in troubles if each.is_final), troubles[0] if troubles else None)


def _troubles(pod: Object, now: datetime) -> Iterator[Trouble]:
    name = pod["metadata"]["name"]
    unscheduled = condition(pod, "PodScheduled")
    if unscheduled is not None and unscheduled.get("status") == "False":
        yield Trouble(name, f"not scheduled: {unscheduled.get('message', '')}".strip(), False)
    for status in containers(pod):
        of_container = _of_container(name, status, _age_s(pod, now))
        if of_container is not None:
            yield of_container


def containers(pod: Object) -> list[dict[str, Any]]:
    """Statuses of all containers, init containers first."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _of_container(pod: str, status: dict[str, Any], age_s: float) -> Trouble | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "").strip()
    what = f"container {status['name']} of {pod}"
    if reason in _NO_IMAGE or (reason in _PULLING and _FINAL_PULL.search(message)):
        return Trouble(pod, f"{what}: {reason}: {message or status.get('image', '')}", True)
    if reason in _PULLING:
        return Trouble(pod, f"{what}: {reason}: {message}", False)
    if reason in _MISCONFIGURED:
        return Trouble(pod, f"{what}: {reason}: {message}", age_s >= CONFIG_GRACE_S)
    return _crash(pod, what, status)


def _crash(pod: str, what: str, status: dict[str, Any]) -> Trouble | None:
    restarts = int(status.get("restartCount") or 0)
    ended = last_end(status)
    if not restarts or ended is None or status.get("ready"):
        return None
    if ended.get("reason") in _LOST:
        return Trouble(
            pod, f"{what} was lost: its node, or the container runtime there, was restarted", False
        )
    oom = ended.get("reason") == "OOMKilled"
    how = "OOMKilled: it used more than its memory limit" if oom else f"exit code {ended.get('exitCode')}"
    is_final = restarts >= (_OOM_CRASHES if oom else _CRASHES)
    ends = restarts if "running" in (status.get("state") or {}) else restarts + 1
    times = "once" if ends == 1 else f"{ends} times"
    return Trouble(pod, f"{what} ended {times}, last with {how}", is_final)


def last_end(status: dict[str, Any]) -> dict[str, Any] | None:
    """How a container's last run ended; None when none has."""
    now = (status.get("state") or {}).get("terminated")
    before = (status.get("lastState") or {}).get("terminated")
    ended: dict[str, Any] | None = now or before
    return ended


def _age_s(pod: Object, now: datetime) -> float:
    made = pod["metadata"].get("creationTimestamp")
    return (now - instant(made)).total_seconds() if made else 0.0


def instant(text: str) -> datetime:
    """An RFC 3339 instant of the API."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def phases(pods: Iterable[Object]) -> str:
    """`2 ready, 1 starting, 1 ending`: one phrase for the run log."""
    counts: dict[str, int] = {}
    for pod in pods:
        counts[_word(pod)] = counts.get(_word(pod), 0) + 1
    return ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))


def _word(pod: Object) -> str:
    if is_deleted(pod):
        return "ending"
    if is_ready(pod):
        return "ready"
    if not is_true(pod, "PodScheduled"):
        return "not scheduled"
    waiting = [(each.get("state") or {}).get("waiting") or {} for each in containers(pod)]
    reasons = [str(each["reason"]) for each in waiting if each.get("reason")]
    return reasons[0] if reasons else "starting" if phase(pod) == "Running" else phase(pod).lower()

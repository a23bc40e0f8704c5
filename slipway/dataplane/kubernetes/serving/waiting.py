"""Waiting until a revision serves: driven by the watch, bounded by a deadline, told as it goes.

Belongs here: the loop. Does not: the picture (slipway.dataplane.kubernetes.api.watch), the judgement
(slipway.runtimes), the why (explain.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from slipway.dataplane.errors import NotServingError, OvertakenError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.watch import Watch
from slipway.dataplane.kubernetes.serving import nodes
from slipway.dataplane.kubernetes.serving.explain import event_line, explanation
from slipway.dataplane.kubernetes.serving.own_word import Ask
from slipway.dataplane.kubernetes.serving.remedies import remedy
from slipway.dataplane.protocol import Progress, Report
from slipway.runtimes import registry
from slipway.runtimes.judging.objects import Object, annotations_of
from slipway.runtimes.judging.verdict import Judge, Seen, Target, Verdict, Wanted

PAUSED = "slipway.dev/paused"

# Some causes become final with time alone (a grace period), and a runtime's own word has no watch.
_TICK_S = 0.5
_FIRST_LIST_S = 90.0
# A workload that is not there although it was applied: somebody removed it.
_REAPPLY_AFTER_S = 3.0

_TOLD_EVENTS = frozenset(
    {
        "Pulling",
        "Pulled",
        "FailedScheduling",
        "Failed",
        "BackOff",
        "FailedMount",
        "FailedCreate",
        "NodeNotReady",
    }
    | {"OOMKilling", "Evicted", "TaintManagerEviction", "FailedCreatePodSandBox"}
)


@dataclass(frozen=True)
class Actions:
    """What the wait may do about what it sees: apply again, wake from zero, ask the runtime itself."""

    apply: Callable[[], None]
    wake: Callable[[], None]
    ask: Ask


@dataclass
class _Told:
    """What the run log has been told, and when the objects changed last."""

    progress: Progress | None = None
    events: set[tuple[str, str, str]] = field(default_factory=set)
    versions: tuple[str, ...] = ()
    changed_at: float = field(default_factory=time.monotonic)
    missing_since: float | None = None
    is_woken: bool = False


def wait(
    api: KubernetesApi,
    wanted: Wanted,
    deadline_s: float,
    report: Report,
    actions: Actions,
    judge: Judge | None = None,
) -> None:
    """Return when `wanted` serves. The deadline stands still while the rollout is paused.

    Its kind of workload says who judges, unless a `judge` is given.

    Raises NotServingError with the cause, the last events and the crashed container's last lines: as soon
    as the cause is final, at the latest after `deadline_s`. Raises OvertakenError when another spec was
    applied over this one.
    """
    question = None
    if judge is None:
        kind = registry.workload(wanted.workload.kind)
        judge, question = kind.judge, kind.own_word
    targets = {**judge.targets(wanted), "PodEvent": _pod_events(wanted)}
    told, end = _Told(), time.monotonic() + deadline_s
    with Watch(api, targets.values()) as watch:
        watch.wait_until_listed(min(deadline_s, _FIRST_LIST_S))
        while True:
            version, began = watch.version, time.monotonic()
            seen = _look(watch, targets, told)
            if question is not None:
                seen = replace(seen, own_word=actions.ask(question, wanted, seen) or {})
            verdict, is_paused = judge.verdict(wanted, seen), _is_paused(wanted, seen)
            _tell(wanted, verdict, seen, watch.trouble, is_paused, told, report)
            if verdict.state == "serving" and not is_paused:
                return
            _refuse(api, wanted, verdict, seen)
            if is_paused:
                end += time.monotonic() - began
            elif time.monotonic() >= end:
                late = replace(verdict, message=f"not within {deadline_s:g} s: {verdict.message}")
                raise _not_serving(api, wanted, late, seen)
            else:
                _act(verdict, told, actions)
            paused_at = time.monotonic()
            watch.wait_for_change(version, max(min(_TICK_S, end - paused_at), 0.01))
            end += time.monotonic() - paused_at if is_paused else 0.0


def _pod_events(wanted: Wanted) -> Target:
    return Target("v1", "Event", wanted.workload.namespace, fields="involvedObject.kind=Pod")


def _look(watch: Watch, targets: Mapping[str, Target], told: _Told) -> Seen:
    objects = {kind: watch.objects(target) for kind, target in targets.items()}
    versions = tuple(_versions(objects))
    if versions != told.versions:
        told.versions, told.changed_at = versions, time.monotonic()
    return Seen(objects, datetime.now(UTC), time.monotonic() - told.changed_at)


def _versions(objects: Mapping[str, Sequence[Object]]) -> Iterator[str]:
    """Events are left out: they repeat while nothing changes."""
    for kind, of_kind in objects.items():
        if not kind.endswith("Event"):
            yield from (str(obj["metadata"].get("resourceVersion")) for obj in of_kind)


def _is_paused(wanted: Wanted, seen: Seen) -> bool:
    """Whether somebody has paused rollouts of the deployment (`slipway pause`), on any of its revisions."""
    return any(annotations_of(obj).get(PAUSED) == "true" for obj in seen.of(wanted.workload.kind))


def _tell(
    wanted: Wanted, verdict: Verdict, seen: Seen, trouble: str, is_paused: bool, told: _Told, report: Report
) -> None:
    for line in _new_events(wanted, seen.of("PodEvent"), told):
        report(Progress(wanted.application, "event", verdict.ready, verdict.wanted, line))
    state = "paused" if is_paused else verdict.state
    message = f"{verdict.message} (seen last; {trouble})" if trouble else verdict.message
    now = Progress(wanted.application, state, verdict.ready, verdict.wanted, message)
    if now != told.progress:
        report(now)
        told.progress = now


def _new_events(wanted: Wanted, events: Sequence[Object], told: _Told) -> Iterator[str]:
    for event in events:
        name = str(event["involvedObject"].get("name") or "")
        key = (name, str(event.get("reason")), str(event.get("message")))
        mine = name.startswith((wanted.application, wanted.workload.name))
        if mine and event.get("reason") in _TOLD_EVENTS and key not in told.events:
            told.events.add(key)
            yield event_line(event)


def _refuse(api: KubernetesApi, wanted: Wanted, verdict: Verdict, seen: Seen) -> None:
    if verdict.state == "overtaken":
        raise OvertakenError(
            f"{wanted.application}: the rollout of spec {wanted.spec_digest[:8]} gives way: "
            f"{verdict.message}. Nothing was undone; the newer rollout goes on."
        )
    if verdict.state == "failed":
        raise _not_serving(api, wanted, verdict, seen)


def _act(verdict: Verdict, told: _Told, actions: Actions) -> None:
    if verdict.state == "idle" and not told.is_woken:
        actions.wake()
        told.is_woken = True
    if verdict.state != "missing":
        told.missing_since = None
        return
    now = time.monotonic()
    if told.missing_since is None:
        told.missing_since = now
    elif now - told.missing_since >= _REAPPLY_AFTER_S:
        actions.apply()
        told.missing_since = None


def with_lost_node(verdict: Verdict, lost: Mapping[str, str]) -> str:
    """The cause as it is known: of a pod whose node does not answer, only what was seen before that is.

    `lost` is a sentence by the pod's name (nodes.py).
    """
    cause = verdict.message.rstrip(".")
    sentence = lost.get(verdict.pod, "") if verdict.pod else next(iter(lost.values()), "")
    if not sentence:
        return cause
    return f"{sentence.rstrip('.')}. What happens there is not known; what was seen before: {cause}"


def _not_serving(api: KubernetesApi, wanted: Wanted, verdict: Verdict, seen: Seen) -> NotServingError:
    pods, namespace = seen.of("Pod"), wanted.workload.namespace
    lost = nodes.silent(api, pods, seen.now)
    lines = explanation(api, namespace, wanted.application, pods, verdict.pod, lost)
    message = f"{wanted.application} (spec {wanted.spec_digest[:8]}) does not serve"
    cause = with_lost_node(verdict, lost)
    told = remedy(cause, lines, is_late=verdict.state != "failed")
    return NotServingError(message, cause=f"{cause}. {told}" if told else cause, log=lines)

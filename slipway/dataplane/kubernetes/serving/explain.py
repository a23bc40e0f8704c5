"""What a person would look for when a revision does not serve: events, logs, why no node takes a pod.

Belongs here: choosing what to show, and fetching it. Does not: judging (slipway.runtimes), the deadline
(waiting.py), nodes that do not answer (nodes.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.objects import Object, condition, event_time

_EVENTS, _LOG_LINES = 5, 20
# Until the pod's status names the newer container.
_LOG_TRIES, _LOG_PAUSE_S = 5, 1.0


@dataclass(frozen=True)
class Output:
    """Whose output tells of a failure: a container, and whether its last run or the one before."""

    pod: str
    container: str
    previous: bool


def explanation(
    api: KubernetesApi,
    namespace: str,
    application: str,
    pods: Sequence[Object],
    pod: str = "",
    lost: Mapping[str, str] = {},
) -> tuple[str, ...]:
    """Lines for the run log; what cannot be fetched is left out. `pod` is the one the failure is about.

    `lost` says, by the pod's name, that its node does not answer (nodes.py).
    """
    lines = [line for living_pod in _first(pods, pod) for line in unscheduled(living_pod)]
    lines += lost.values()
    lines += _events(api, namespace, application)
    output = crashed(each for each in _first(pods, pod) if each["metadata"]["name"] not in lost)
    if output is not None:
        lines += _output(api, namespace, output)
    return tuple(lines)


def _first(pods: Sequence[Object], name: str) -> list[Object]:
    return sorted(pod_state.living(pods), key=lambda living_pod: living_pod["metadata"]["name"] != name)


def unscheduled(pod: Object) -> list[str]:
    """What a pod that no node takes asks for, and the scheduler's count of nodes by reason."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled is None or scheduled.get("status") != "False":
        return []
    asked = ", ".join(f"{name}={amount}" for name, amount in sorted(requests(pod).items()))
    return [f"{pod['metadata']['name']} asks for {asked or 'nothing'}: {scheduled.get('message', '')}"]


def requests(pod: Object) -> dict[str, str]:
    """What the containers of a pod ask for; of each resource the largest single request is shown."""
    amounts: dict[str, str] = {}
    for container in (pod.get("spec") or {}).get("containers") or ():
        resources = container.get("resources") or {}
        amounts.update({**(resources.get("limits") or {}), **(resources.get("requests") or {})})
    return {name: str(amount) for name, amount in amounts.items()}


def crashed(pods: Iterable[Object]) -> Output | None:
    """The container whose output says why: one that ended, else one that runs and is not ready."""
    running: Output | None = None
    for pod in pods:
        for status in pod_state.containers(pod):
            name, container = pod["metadata"]["name"], str(status["name"])
            state: dict[str, Any] = status.get("state") or {}
            if (status.get("lastState") or {}).get("terminated") and "terminated" not in state:
                return Output(name, container, previous=True)
            if (state.get("terminated") or {}).get("exitCode"):
                return Output(name, container, previous=False)
            if "running" in state and not status.get("ready") and running is None:
                running = Output(name, container, previous=False)
    return running


def _events(api: KubernetesApi, namespace: str, application: str) -> list[str]:
    try:
        events = api.list("v1", "Event", namespace, fields="type=Warning").objects
    except DataPlaneError:
        return []
    return warnings(events, application)


def warnings(events: Iterable[Object], application: str) -> list[str]:
    """The last warnings about objects of an application, each said once."""
    mine = [
        event for event in events if str(event["involvedObject"].get("name") or "").startswith(application)
    ]
    mine.sort(key=event_time)
    latest = {(event.get("reason"), _kind_of_message(event)): event for event in mine}
    return [event_line(event) for event in list(latest.values())[-_EVENTS:]]


def _kind_of_message(event: Object) -> str:
    """The message without the names in it: of ten pods that a quota refuses one is enough."""
    return re.sub(r'"[^"]*"', "", str(event.get("message") or ""))


def event_line(event: Object) -> str:
    """One event as people write it."""
    about, count = event["involvedObject"], int(event.get("count") or 1)
    times = f" ({count} times)" if count > 1 else ""
    message = str(event.get("message") or "").strip()
    return f"{about.get('kind')} {about.get('name')}: {event.get('reason')}: {message}{times}"


def _output(api: KubernetesApi, namespace: str, output: Output) -> list[str]:
    try:
        lines = _lines(api, namespace, output)
        for _ in range(_LOG_TRIES - 1):
            if not _is_removed(lines):
                break
            time.sleep(_LOG_PAUSE_S)
            lines = _lines(api, namespace, output)
    except DataPlaneError:
        return []
    if not lines:
        return [f"{output.pod}/{output.container} printed nothing"]
    return [f"last lines of {output.pod}/{output.container}:", *lines]


def _lines(api: KubernetesApi, namespace: str, output: Output) -> tuple[str, ...]:
    return api.log(namespace, output.pod, output.container, lines=_LOG_LINES, previous=output.previous)


def _is_removed(lines: Sequence[str]) -> bool:
    """The kubelet's answer, given as if it were output, for a container that made way for a newer one.

    Its words are all that tell it from output.
    """
    return len(lines) == 1 and lines[0].startswith("unable to retrieve container logs for ")

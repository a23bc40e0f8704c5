"""What a person would look for when a revision does not serve: events, logs, why no node takes a pod.

Belongs here: choosing what to show, and fetching it. Does not: judging (serving), the deadline (waiting.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.client import KubernetesApi
from slipway.dataplane.kubernetes.objects import Object, condition
from slipway.dataplane.kubernetes.serving import pods as judging

_EVENTS, _LOG_LINES = 5, 20


@dataclass(frozen=True)
class Output:
    """Whose output tells of a failure: a container, and whether its last run or the one before."""

    pod: str
    container: str
    previous: bool


def explanation(
    api: KubernetesApi, namespace: str, application: str, pods: Sequence[Object], pod: str = ""
) -> tuple[str, ...]:
    """Lines for the run log; what cannot be fetched is left out. `pod` is the one the failure is about."""
    lines = [each for found in _first(pods, pod) for each in unscheduled(found)]
    lines += _events(api, namespace, application)
    output = crashed(_first(pods, pod))
    if output is not None:
        lines += _output(api, namespace, output)
    return tuple(lines)


def _first(pods: Sequence[Object], name: str) -> list[Object]:
    return sorted(judging.living(pods), key=lambda each: each["metadata"]["name"] != name)


def unscheduled(pod: Object) -> list[str]:
    """What a pod that no node takes asks for, and the scheduler's count of nodes by reason."""
    found = condition(pod, "PodScheduled")
    if found is None or found.get("status") != "False":
        return []
    asked = ", ".join(f"{name}={amount}" for name, amount in sorted(requests(pod).items()))
    return [f"{pod['metadata']['name']} asks for {asked or 'nothing'}: {found.get('message', '')}"]


def requests(pod: Object) -> dict[str, str]:
    """What the containers of a pod ask for; of each resource the largest single request is shown."""
    found: dict[str, str] = {}
    for container in (pod.get("spec") or {}).get("containers") or ():
        resources = container.get("resources") or {}
        found.update({**(resources.get("limits") or {}), **(resources.get("requests") or {})})
    return {name: str(amount) for name, amount in found.items()}


def crashed(pods: Iterable[Object]) -> Output | None:
    """The container whose output says why: one that ended, else one that runs and is not ready."""
    running: Output | None = None
    for pod in pods:
        for status in judging.containers(pod):
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
        found = api.list("v1", "Event", namespace, fields="type=Warning").objects
    except DataPlaneError:
        return []
    return warnings(found, application)


def warnings(events: Iterable[Object], application: str) -> list[str]:
    """The last warnings about objects of an application, each said once."""
    mine = [each for each in events if str(each["involvedObject"].get("name") or "").startswith(application)]
    mine.sort(key=event_time)
    said = {(each.get("reason"), each.get("message")): each for each in mine}
    return [event_line(each) for each in list(said.values())[-_EVENTS:]]


def event_time(event: Object) -> str:
    """When an event was last seen; RFC 3339 in UTC sorts as text."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(event.get("lastTimestamp") or series or event.get("eventTime") or "")


def event_line(event: Object) -> str:
    """One event as people write it."""
    about, count = event["involvedObject"], int(event.get("count") or 1)
    times = f" ({count} times)" if count > 1 else ""
    said = str(event.get("message") or "").strip()
    return f"{about.get('kind')} {about.get('name')}: {event.get('reason')}: {said}{times}"


def _output(api: KubernetesApi, namespace: str, output: Output) -> list[str]:
    try:
        lines = api.log(namespace, output.pod, output.container, lines=_LOG_LINES, previous=output.previous)
    except DataPlaneError:
        return []
    if not lines:
        return [f"{output.pod}/{output.container} printed nothing"]
    return [f"last lines of {output.pod}/{output.container}:", *lines]

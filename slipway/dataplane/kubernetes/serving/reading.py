"""A revision as a person looks at it: conditions, pods, events, output; and holding a rollout still.

Belongs here: what `slipway describe`, `logs`, `pause` and `resume` show and do, for every runtime alike.
Does not: the command line (slipway.commands), judging (slipway.runtimes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.serving import live
from slipway.dataplane.kubernetes.serving.explain import unscheduled, warnings
from slipway.dataplane.kubernetes.serving.waiting import PAUSED
from slipway.runtimes.judging import pod_state
from slipway.runtimes.judging.objects import Object, is_deleted, ref_of
from slipway.runtimes.judging.verdict import Wanted


@dataclass(frozen=True)
class Description:
    """One revision: its workload, the conditions of that, its pods, the last warnings. Lines for a person."""

    workload: str
    conditions: tuple[str, ...]
    pods: tuple[str, ...]
    events: tuple[str, ...]


@dataclass(frozen=True)
class PodOutput:
    """Last lines of one container."""

    pod: str
    container: str
    lines: tuple[str, ...]


class People:
    """Reads the revisions of a deployment in some namespaces."""

    def __init__(self, api: KubernetesApi, namespaces: Sequence[str]) -> None:
        self._api = api
        self._namespaces = tuple(namespaces)

    def describe(self, deployment: str) -> dict[str, Description]:
        """Every revision of a deployment by its application's name."""
        return {
            wanted.application: self._described(workload, wanted, pods)
            for workload, wanted, pods in self._found(deployment)
        }

    def output(
        self, deployment: str, application: str | None, lines: int, *, previous: bool
    ) -> Iterator[PodOutput]:
        """Last lines of every container; of the run before the last restart with `previous`."""
        for _, wanted, pods in self._found(deployment):
            if application not in (None, wanted.application):
                continue
            for pod in pods:
                for status in pod_state.containers(pod):
                    yield self._output(pod, str(status["name"]), lines, previous=previous)

    def pause(self, deployment: str, *, paused: bool) -> tuple[str, ...]:
        """Let rollouts of a deployment stand still, or go on; returns the names of its workloads.

        A rollout that waits reports it, and its deadline stands still, too; a Deployment that is changed in
        place replaces no more pods.
        """
        workloads = [workload for workload, _, _ in self._found(deployment)]
        for workload in workloads:
            note = {"annotations": {PAUSED: "true" if paused else None}}
            spec = {"spec": {"paused": True if paused else None}} if workload["kind"] == "Deployment" else {}
            self._api.merge(ref_of(workload), {"metadata": note, **spec})
        return tuple(workload["metadata"]["name"] for workload in workloads)

    def _found(self, deployment: str) -> Iterator[tuple[Object, Wanted, list[Object]]]:
        """Workloads, the revision that each stands for, and its pods."""
        reader = live.Reader(self._api)
        for workload in live.workloads(self._api, self._namespaces, deployment).workloads():
            for wanted in live.wanted_of(workload):
                if wanted.deployment == deployment:
                    yield workload, wanted, list(reader.seen(wanted).of("Pod"))

    def _described(self, workload: Object, wanted: Wanted, pods: list[Object]) -> Description:
        namespace = wanted.workload.namespace
        try:
            events = self._api.list("v1", "Event", namespace, fields="type=Warning").objects
        except DataPlaneError:
            events = ()
        lines = [*warnings(events, wanted.application), *(line for pod in pods for line in unscheduled(pod))]
        return Description(str(wanted.workload), _conditions(workload), tuple(map(_pod, pods)), tuple(lines))

    def _output(self, pod: Object, container: str, lines: int, *, previous: bool) -> PodOutput:
        named = pod["metadata"]
        try:
            output = self._api.log(
                named["namespace"], named["name"], container, lines=lines, previous=previous
            )
        except DataPlaneError as error:
            output = (f"(no output: {error})",)
        return PodOutput(named["name"], container, output)


def _conditions(workload: Object) -> tuple[str, ...]:
    conditions = (workload.get("status") or {}).get("conditions") or ()
    lines = (
        f"{condition.get('type')}={condition.get('status')}: "
        f"{condition.get('message') or condition.get('reason') or ''}"
        for condition in conditions
    )
    return tuple(line.rstrip(": ") for line in lines)


def _pod(pod: Object) -> str:
    """Name, what it does, its restarts, its node, the spec that it carries."""
    statuses = pod_state.containers(pod)
    restarts = sum(int(each.get("restartCount") or 0) for each in statuses)
    node = (pod.get("spec") or {}).get("nodeName") or "no node"
    digest = (pod_state.digest_of(pod) or "no spec")[:8]
    state = "ending" if is_deleted(pod) else pod_state.phases([pod]).removeprefix("1 ")
    return f"{pod['metadata']['name']}  {state}  {restarts} restarts  {node}  {digest}"

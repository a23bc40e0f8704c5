"""What of Slipway is in a cluster now: every revision, judged from a few list calls.

Belongs here: from a snapshot to LiveApplication. Does not: waiting (waiting.py), judging one
(a runtime's judge).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.objects import snapshot
from slipway.dataplane.kubernetes.objects.prune import KindName
from slipway.dataplane.kubernetes.objects.recorded import ENDPOINT
from slipway.dataplane.kubernetes.objects.snapshot import Snapshot
from slipway.dataplane.kubernetes.serving import parking
from slipway.dataplane.protocol import LiveApplication
from slipway.runtimes import registry
from slipway.runtimes.judging.objects import Object, annotations_of, labels_of, ref_of
from slipway.runtimes.judging.verdict import Seen, Target, Verdict, Wanted
from slipway.runtimes.rendering import identity
from slipway.runtimes.workload import WorkloadKind


def workloads(api: KubernetesApi, namespaces: Iterable[str], deployment: str | None) -> Snapshot:
    """Workloads of a deployment, or of all: one list call per kind and namespace."""
    kinds = registry.workloads().values()
    labels = snapshot.OWNED
    # One that several deployments share carries no deployment's label.
    shared = snapshot.take(api, namespaces, _names(each for each in kinds if each.shared), labels)
    if deployment is not None:
        labels += f",{identity.DEPLOYMENT}={deployment}"
    own = snapshot.take(api, namespaces, _names(each for each in kinds if not each.shared), labels)
    return Snapshot({**own.objects, **shared.objects})


def _names(kinds: Iterable[WorkloadKind]) -> list[KindName]:
    return [(each.api_version, each.kind) for each in kinds]


def wanted_of(workload: Object) -> Iterator[Wanted]:
    """The revisions that a workload stands for, as itself says; several for one that is shared."""
    shared = registry.workload(workload["kind"]).shared
    if shared is not None:
        yield from shared.revisions(workload)
        return
    labels = labels_of(workload)
    instance, deployment = labels.get(identity.INSTANCE), labels.get(identity.DEPLOYMENT)
    if instance and deployment:
        digest = annotations_of(workload).get(identity.SPEC_DIGEST, "")
        yield Wanted(instance, deployment, digest, ref_of(workload), workload)


class Reader:
    """Judges workloads from lists that are read once per target, however many workloads share it."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api
        self._listed: dict[Target, tuple[Object, ...]] = {}

    def applications(self, owned: Snapshot, deployment: str | None) -> tuple[LiveApplication, ...]:
        """Every revision of a deployment, or of all."""
        return tuple(
            self._live(workload, wanted)
            for workload in owned.workloads()
            for wanted in wanted_of(workload)
            if deployment in (None, wanted.deployment)
        )

    def seen(self, wanted: Wanted) -> Seen:
        """What the judge of a workload needs to see, from shared lists."""
        targets = registry.workload(wanted.workload.kind).judge.targets(wanted)
        return Seen({kind: self._objects(target) for kind, target in targets.items()}, datetime.now(UTC))

    def _objects(self, target: Target) -> tuple[Object, ...]:
        """Of a wider list, shared by all workloads of the namespace, those that the target selects."""
        if not self._api.serves(target.api_version, target.kind):
            return ()
        wide = Target(target.api_version, target.kind, target.namespace)
        if wide not in self._listed:
            self._listed[wide] = self._api.list(wide.api_version, wide.kind, wide.namespace).objects
        return tuple(obj for obj in self._listed[wide] if selects(target, obj))

    def _live(self, workload: Object, wanted: Wanted) -> LiveApplication:
        verdict = registry.workload(wanted.workload.kind).judge.verdict(wanted, self.seen(wanted))
        is_parked = parking.is_parked(workload)
        return LiveApplication(
            name=wanted.application,
            deployment=wanted.deployment,
            spec_digest=wanted.spec_digest,
            upstream=endpoint_of(workload, wanted),
            state="parked" if is_parked else verdict.state,
            message=verdict.message,
            replicas_ready=verdict.ready,
            replicas_wanted=verdict.wanted,
            is_serving=not is_parked and is_serving(verdict, wanted),
            is_parked=is_parked,
        )


def is_serving(verdict: Verdict, wanted: Wanted) -> bool:
    """Whether requests to the revision are answered: some replica has its spec, or an autoscaler wakes one.

    What is known of a shared workload's replicas is only its own word. That is not asked for here, so that
    its status is believed; `wait` does ask.
    """
    if registry.workload(wanted.workload.kind).own_word is not None:
        return verdict.state == "serving" or verdict.reason == "unasked"
    return verdict.state in ("serving", "idle") or verdict.ready > 0


def endpoint_of(workload: Object, wanted: Wanted) -> str:
    """The base URL that was rendered; of one revision of a shared workload, its own."""
    url = annotations_of(workload).get(ENDPOINT, "")
    shared = registry.workload(workload["kind"]).shared
    return url if shared is None or not url else shared.endpoint(workload, wanted, url)


def selects(target: Target, obj: Object) -> bool:
    """Whether a label and field selector fits; of the forms that judges use: `a=b` and `a`, by commas."""
    labels = labels_of(obj)
    for part in filter(None, target.labels.split(",")):
        name, given, value = part.partition("=")
        if name not in labels or (given and labels[name] != value):
            return False
    for part in filter(None, target.fields.split(",")):
        path, _, value = part.partition("=")
        actual: Any = obj
        for step in path.split("."):
            actual = (actual or {}).get(step)
        if str(actual) != value:
            return False
    return True

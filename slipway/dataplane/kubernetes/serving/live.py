"""What of Slipway is in a cluster now: every revision, judged from a few list calls.

Belongs here: from a snapshot to LiveApplication. Does not: waiting (waiting.py), judging one (serving).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.objects import prune, snapshot
from slipway.dataplane.kubernetes.objects.recorded import ENDPOINT
from slipway.dataplane.kubernetes.objects.snapshot import Snapshot
from slipway.dataplane.kubernetes.serving import parking
from slipway.dataplane.kubernetes.serving.judges import JUDGES
from slipway.dataplane.protocol import LiveApplication
from slipway.runtimes.judging.objects import Object, annotations_of, labels_of, ref_of
from slipway.runtimes.judging.verdict import Seen, Target, Verdict, Wanted
from slipway.runtimes.kuberay import judge as kuberay
from slipway.runtimes.rendering import identity


def workloads(api: KubernetesApi, namespaces: Iterable[str], deployment: str | None) -> Snapshot:
    """Workloads of a deployment, or of all: one list call per kind and namespace."""
    labels = snapshot.OWNED
    shared = snapshot.take(api, namespaces, [("ray.io/v1", "RayService")], labels)
    if deployment is not None:
        labels += f",{identity.DEPLOYMENT}={deployment}"
    own = snapshot.take(api, namespaces, (k for k in prune.WORKLOADS if k[1] != "RayService"), labels)
    return Snapshot({**own.objects, **shared.objects})


def wanted_of(workload: Object) -> Iterator[Wanted]:
    """The revisions that a workload stands for, as itself says; several for a RayService."""
    if workload["kind"] == "RayService":
        for name, application in kuberay.applications(workload).items():
            told = _told_by(application)
            if told is not None:
                yield Wanted(name, *told, ref_of(workload), workload)
        return
    labels = labels_of(workload)
    instance, deployment = labels.get(identity.INSTANCE), labels.get(identity.DEPLOYMENT)
    if instance and deployment:
        digest = annotations_of(workload).get(identity.SPEC_DIGEST, "")
        yield Wanted(instance, deployment, digest, ref_of(workload), workload)


def _told_by(application: Mapping[str, Any]) -> tuple[str, str] | None:
    """Deployment and digest of an application of Ray: of our own engine's arguments, or Serve LLM's."""
    args: Mapping[str, Any] = application.get("args") or {}
    if "spec_digest" in args:
        return str(args["deployment"]), str(args["spec_digest"])
    for config in args.get("llm_configs") or ():
        env = (config.get("runtime_env") or {}).get("env_vars") or {}
        if identity.SPEC_DIGEST_ENV in env:
            return str(config["model_loading_config"]["model_id"]), str(env[identity.SPEC_DIGEST_ENV])
    return None


class Reader:
    """Judges workloads from lists that are read once per target, however many workloads share it."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api
        self._listed: dict[Target, tuple[Object, ...]] = {}

    def applications(self, found: Snapshot, deployment: str | None) -> tuple[LiveApplication, ...]:
        """Every revision of a deployment, or of all."""
        return tuple(
            self._live(workload, wanted)
            for workload in found.workloads()
            for wanted in wanted_of(workload)
            if deployment in (None, wanted.deployment)
        )

    def seen(self, wanted: Wanted) -> Seen:
        """What the judge of a workload needs to see, from shared lists."""
        targets = JUDGES[wanted.workload.kind].targets(wanted)
        return Seen({kind: self._objects(target) for kind, target in targets.items()}, datetime.now(UTC))

    def _objects(self, target: Target) -> tuple[Object, ...]:
        """Of a wider list, shared by all workloads of the namespace, those that the target selects."""
        if not self._api.serves(target.api_version, target.kind):
            return ()
        wide = Target(target.api_version, target.kind, target.namespace)
        if wide not in self._listed:
            self._listed[wide] = self._api.list(wide.api_version, wide.kind, wide.namespace).objects
        return tuple(each for each in self._listed[wide] if selects(target, each))

    def _live(self, workload: Object, wanted: Wanted) -> LiveApplication:
        found = JUDGES[wanted.workload.kind].verdict(wanted, self.seen(wanted))
        is_parked = parking.is_parked(workload)
        return LiveApplication(
            name=wanted.application,
            deployment=wanted.deployment,
            spec_digest=wanted.spec_digest,
            upstream=endpoint_of(workload, wanted),
            state="parked" if is_parked else found.state,
            message=found.message,
            replicas_ready=found.ready,
            replicas_wanted=found.wanted,
            is_serving=not is_parked and is_serving(found, wanted),
            is_parked=is_parked,
        )


def is_serving(found: Verdict, wanted: Wanted) -> bool:
    """Whether requests to the revision are answered: some replica has its spec, or an autoscaler wakes one.

    Without Ray's dashboard a RayService is taken at its word; `wait` is not.
    """
    if wanted.workload.kind == "RayService":
        return found.state == "serving" or "dashboard" in found.message
    return found.state in ("serving", "idle") or found.ready > 0


def endpoint_of(workload: Object, wanted: Wanted) -> str:
    """The base URL that was rendered; of an application of a RayService, with its own path."""
    url = annotations_of(workload).get(ENDPOINT, "")
    if workload["kind"] != "RayService" or not url:
        return url
    host = "/".join(url.split("/")[:3])
    return f"{host}{kuberay.applications(workload)[wanted.application].get('route_prefix', '')}/v1"


def selects(target: Target, obj: Object) -> bool:
    """Whether a label and field selector fits; of the forms that judges use: `a=b` and `a`, by commas."""
    labels = labels_of(obj)
    for part in filter(None, target.labels.split(",")):
        name, given, value = part.partition("=")
        if name not in labels or (given and labels[name] != value):
            return False
    for part in filter(None, target.fields.split(",")):
        path, _, value = part.partition("=")
        found: Any = obj
        for step in path.split("."):
            found = (found or {}).get(step)
        if str(found) != value:
            return False
    return True

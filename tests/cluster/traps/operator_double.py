"""What all doubles of operators share: they watch their kind on the real API server and act step by step.

Belongs here: following generations, stopping at a stage, writing objects and statuses as an operator would.
Does not: any operator's behavior (`..._double.py` beside this), pods' kubelet (kubelet_double.py).
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from kubernetes.client import ApiClient

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.watch import Watch
from slipway.runtimes.judging.verdict import Target
from testbed.cluster.objects import Object, Objects, eventually
from testbed.cluster.objects import condition as status_of

from .kubelet_double import NOBODY

_PATIENCE_S = 30.0


class OperatorDouble:
    """Watches one kind in one namespace; use it in a `with`. It stands for an operator and is none.

    `stop_at` names a stage of `reconcile` at which it waits until `go_on`: how a state that lasts 40 ms in
    life is looked at in peace.
    """

    api_version: ClassVar[str]
    kind: ClassVar[str]

    def __init__(self, api: ApiClient, namespace: str) -> None:
        self.objects = Objects(api)
        self.namespace = namespace
        self.mode = ""
        self._api = api
        self._stage = ""
        self._reached, self._go_on = threading.Event(), threading.Event()
        self._ended, self._idle = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "OperatorDouble":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._go_on.set()
        self._thread.join(_PATIENCE_S)
        if self._error is not None:
            raise self._error

    def reconcile(self, found: Object) -> Iterator[str]:
        """Bring one generation about, naming the stages; each is seen before the next is begun."""
        raise NotImplementedError

    def stop_at(self, stage: str) -> None:
        """Wait at this stage the next time."""
        self._stage = stage
        self._reached.clear()
        self._go_on.clear()

    def until_idle(self) -> None:
        """Until all that was seen is brought about."""
        assert self._idle.wait(_PATIENCE_S), f"the double is not done: {self._error!r}"

    def until_there(self) -> None:
        """Until the stage is reached; raises AssertionError when it is not."""
        assert self._reached.wait(_PATIENCE_S), f"the double never came to {self._stage}: {self._error!r}"

    def go_on(self) -> None:
        """Leave the stage, and all others after it."""
        self._stage = ""
        self._go_on.set()

    def now(self, name: str) -> Object:
        """The custom resource as the API server has it."""
        found = self.objects.get(self.api_version, self.kind, name, self.namespace)
        assert found is not None
        return found

    def _run(self) -> None:
        target = Target(self.api_version, self.kind, self.namespace)
        done: dict[str, int] = {}
        try:
            with Watch(KubernetesApi(self._api), [target]) as watch:
                while not self._ended.is_set():
                    version = watch.version
                    for each in watch.objects(target):
                        named = each["metadata"]
                        if done.get(named["uid"]) != named["generation"]:
                            done[named["uid"]] = named["generation"]
                            self._bring_about(each)
                    watch.wait_for_change(version, 0.2)
        except BaseException as error:  # noqa: BLE001  told to the test
            self._error = error

    def _bring_about(self, found: Object) -> None:
        self._idle.clear()
        self._take_steps(found)
        self._idle.set()

    def _take_steps(self, found: Object) -> None:
        for stage in self.reconcile(found):
            if self._ended.is_set():
                return
            if stage == self._stage:
                self._reached.set()
                self._go_on.wait(_PATIENCE_S)

    def until(self, is_so: Callable[[], Any]) -> bool:
        """Wait for it; False when the test is over first."""
        while not self._ended.is_set():
            if is_so():
                return True
            time.sleep(0.05)
        return False

    def make(self, made: Object) -> None:
        """Apply an object as the operator's own."""
        self.objects.apply([made], self.namespace)

    def tell(self, found: Object, **status: Any) -> None:
        """Write the whole status, as an operator updates it."""
        name = found["metadata"]["name"]
        path = self.objects.path(self.api_version, self.kind, self.namespace, name)

        def written() -> bool:  # a conflict with a write of Slipway's is tried again
            self.objects.call("PUT", f"{path}/status", {**self.objects.call("GET", path), "status": status})
            return True

        eventually(written, f"the status of {name}")

    def make_pod(self, name: str, template: Object) -> None:
        """A pod of a template, for nobody's node."""
        self.make({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}} | _merged(name, template))

    def pods(self, labels: str) -> list[Object]:
        """Pods with these labels, in the order of names."""
        return sorted(
            self.objects.list("v1", "Pod", self.namespace, labels), key=lambda each: each["metadata"]["name"]
        )

    def remove_pods(self, pods: list[Object]) -> None:
        """Delete, at once."""
        for each in pods:
            self.objects.delete("v1", "Pod", each["metadata"]["name"], self.namespace)

    def deploy(
        self, name: str, template: Object, replicas: int, surge: int = 0, selected: Object | None = None
    ) -> None:
        """A Deployment, which the real controller then carries out; `selected`: more labels to select by."""
        selector = {"app": name, **(selected or {})}
        labels = {**template["metadata"].get("labels", {}), **selector}
        template = {**template, "metadata": {**template["metadata"], "labels": labels}}
        rolling = {"maxSurge": surge, "maxUnavailable": 0 if surge else 1}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": template,
        }
        self.make({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})

    def deployment(self, name: str) -> Object:
        """Status and spec of a Deployment."""
        found = self.objects.get("apps/v1", "Deployment", name, self.namespace)
        assert found is not None
        return found

    def is_rolled_out(self, name: str) -> bool:
        """Whether all replicas are new and ready, and no old one is left."""
        found = self.deployment(name)
        status, wanted = found["status"], found["spec"]["replicas"]
        counts = [status.get(each, 0) for each in ("replicas", "updatedReplicas", "readyReplicas")]
        return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3


def template(
    labels: Any = None, annotations: Any = None, env: Any = None, image: str = "registry.slipway.test/e:1"
) -> Object:
    """A pod template with what of the real one says whose it is."""
    container = {"name": "main", "image": image, "env": list(env or ())}
    return {
        "metadata": {"labels": dict(labels or {}), "annotations": dict(annotations or {})},
        "spec": {"schedulerName": NOBODY, "containers": [container]},
    }


def _merged(name: str, template: Object) -> Object:
    return {"metadata": {**template["metadata"], "name": name}, "spec": template["spec"]}


def condition(kind: str, status: bool, reason: str = "Double", message: str = "") -> Object:
    """One condition of a status."""
    return {
        "type": kind,
        "status": str(status),
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def is_ready(pod: Object) -> bool:
    """The pod's condition."""
    return status_of(pod, "Ready") == "True"

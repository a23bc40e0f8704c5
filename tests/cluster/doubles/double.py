"""What all doubles share: seeing changes of a custom resource, making pods, writing a status.

Belongs here: the loop. Does not: one operator's behaviour.
"""

import contextlib
import copy
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

from slipway.runtimes import identity

from ..harness.objects import Object, Objects

_POLL_S = 0.05
FAKE_NODE = {
    "nodeSelector": {"type": "kwok"},
    "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
}


class Double(threading.Thread):
    """Plays an operator for the custom resources of one kind in one namespace, one change after the other.

    `settled_at` is when the newest change truly serves, by the clock `time.monotonic`; None before.
    `claimed_at` is when the status first claimed it after that change.
    """

    api_version: str
    kind: str

    def __init__(self, api: ApiClient, namespace: str) -> None:
        super().__init__(name=f"double-{self.kind}", daemon=True)
        self.objects, self.namespace = Objects(api), namespace
        self.settled_at: float | None = None
        self.claimed_at: float | None = None
        self.failure: BaseException | None = None
        self._seen: dict[str, int] = {}
        self._stopped = threading.Event()

    def __enter__(self) -> "Double":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join(10)

    def run(self) -> None:
        try:
            while not self._stopped.wait(_POLL_S):
                for each in self.objects.list(self.api_version, self.kind, self.namespace):
                    self._look(each)
        except BaseException as error:  # noqa: BLE001 - told to the test, which would wait in vain
            self.failure = error

    def _look(self, resource: Object) -> None:
        name, generation = resource["metadata"]["name"], resource["metadata"]["generation"]
        if self._seen.get(name) == generation:
            return
        self.settled_at = self.claimed_at = None
        is_first = name not in self._seen
        self._seen[name] = generation
        self.changed(resource, is_first=is_first)
        self.settled_at = time.monotonic()

    def changed(self, resource: Object, *, is_first: bool) -> None:
        """Play what the operator does about a change, to its end."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """Wait, unless the test ends."""
        self._stopped.wait(seconds)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something in the cluster."""
        while not condition() and not self._stopped.is_set():
            self.sleep(_POLL_S)

    def claim(self) -> None:
        """Note that from here on a plain readiness check is satisfied."""
        self.claimed_at = time.monotonic()

    def set_status(self, name: str, status: Object) -> None:
        """Replace the status; tried again when somebody wrote in between."""
        path = self.objects.path(self.api_version, self.kind, self.namespace, name)
        while not self._stopped.is_set():
            found = self.objects.call("GET", path)
            found["status"] = status
            try:
                self.objects.call("PUT", f"{path}/status", found)
            except ApiException as error:
                if error.status != 409:
                    raise
                continue
            return

    def pods(self, labels: str) -> list[Object]:
        """Living pods with these labels."""
        found = self.objects.list("v1", "Pod", self.namespace, labels)
        return [each for each in found if not each["metadata"].get("deletionTimestamp")]

    def make_pod(
        self, owner: Object, name: str, labels: Mapping[str, str], digest: str, *, in_env: bool = False
    ) -> None:
        """A pod on a fake node that carries a spec digest, owned by the resource."""
        env = [{"name": identity.SPEC_DIGEST_ENV, "value": digest}] if in_env else []
        container = {"name": "main", "image": "engine:1", "env": env}
        noted = {} if in_env else {identity.SPEC_DIGEST: digest}
        metadata = {
            "name": name,
            "labels": dict(labels),
            "annotations": noted,
            "ownerReferences": [owned(owner)],
        }
        spec = {"containers": [container], "terminationGracePeriodSeconds": 1, **copy.deepcopy(FAKE_NODE)}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.objects.apply([pod], self.namespace)

    def end_pods(self, pods: Iterable[Object]) -> None:
        """Delete pods and wait until they are gone."""
        names = {each["metadata"]["name"] for each in pods}
        for name in names:
            self.objects.delete("v1", "Pod", name, self.namespace, grace_s=1)
        self.until(
            lambda: (
                not names & {p["metadata"]["name"] for p in self.objects.list("v1", "Pod", self.namespace)}
            )
        )

    def are_ready(self, labels: str, count: int) -> bool:
        """Whether that many pods with these labels are Ready, and no others live."""
        found = self.pods(labels)
        return len(found) == count and all(is_ready(each) for each in found)

    def make_deployment(self, owner: Object, name: str, replicas: int, template: Object) -> None:
        """A Deployment as operators make it: with the resource as its controller, and KWOK's nodes for pods."""
        template = copy.deepcopy(template)
        template["spec"].update(copy.deepcopy(FAKE_NODE), terminationGracePeriodSeconds=1)
        labels = {"app": name}
        template["metadata"]["labels"] = {**template["metadata"].get("labels", {}), **labels}
        rolling = {"maxSurge": 0, "maxUnavailable": 1}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": template,
        }
        metadata = {"name": name, "ownerReferences": [owned(owner)]}
        made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
        with contextlib.suppress(ApiException):
            self.objects.apply([made], self.namespace)

    def is_rolled_out(self, name: str, replicas: int) -> bool:
        """Whether a Deployment has finished, by its own honest numbers and its pods."""
        found = self.objects.get("apps/v1", "Deployment", name, self.namespace)
        status = (found or {}).get("status", {})
        if found is None or status.get("observedGeneration") != found["metadata"]["generation"]:
            return False
        counts = [status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")]
        return counts == [replicas] * 3 and self.are_ready(f"app={name}", replicas)


def owned(owner: Object) -> Object:
    """An owner reference to a controller, so that everything goes with its resource."""
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_ready(pod: Object) -> bool:
    """The condition Ready."""
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def told(**conditions: bool) -> list[dict[str, Any]]:
    """Conditions as an API server takes them."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [
        {"type": kind, "status": str(value), "reason": kind, "message": "", "lastTransitionTime": at}
        for kind, value in conditions.items()
    ]

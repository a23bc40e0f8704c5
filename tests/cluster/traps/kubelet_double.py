"""A double of the kubelet: it says of pods that no scheduler takes how they fare, and runs none of them.

Belongs here: pods' statuses. Does not: operators (operator_double.py). Pods of KWOK are always Ready; here a
test decides by the spec digest which start, which hang and which have no image.
"""

import threading

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException

from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.watch import Watch
from slipway.runtimes.judging.pod_state import digest_of
from slipway.runtimes.judging.verdict import Target
from testbed.cluster.objects import Object, Objects

NOBODY = "nobody"  # spec.schedulerName of these pods: they stay without a node
READY, STARTING, UNPULLABLE = "ready", "starting", "unpullable"


class KubeletDouble:
    """`fates[spec digest]` is how pods of that spec fare; all others are READY. Use it in a `with`."""

    def __init__(self, api: ApiClient, namespace: str) -> None:
        self.fates: dict[str, str] = {}
        self._api, self._namespace = api, namespace
        self._objects = Objects(api)
        self._told: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "KubeletDouble":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        target = Target("v1", "Pod", self._namespace)
        with Watch(KubernetesApi(self._api), [target]) as watch:
            while not self._ended.is_set():
                version = watch.version
                for pod in watch.objects(target):
                    if pod["spec"].get("schedulerName") == NOBODY:
                        self._tell(pod)
                watch.wait_for_change(version, 0.1)

    def _tell(self, pod: Object) -> None:
        fate = self.fates.get(str(digest_of(pod)), READY)
        named = pod["metadata"]
        if self._told.get(named["uid"]) == fate:
            return
        path = self._objects.path("v1", "Pod", self._namespace, named["name"]) + "/status"
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": named["name"]}}
        try:
            self._objects.call(
                "PATCH", path, {**body, "status": _status(pod, fate)}, fieldManager="kubelet", force="true"
            )
        except ApiException as error:
            if error.status not in (404, 409):  # it has gone meanwhile
                raise
        self._told[named["uid"]] = fate


def _status(pod: Object, fate: str) -> Object:
    is_ready = fate == READY
    states = {
        READY: {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        STARTING: {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        UNPULLABLE: {"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}},
    }
    told = {"Ready": is_ready, "ContainersReady": is_ready, "PodScheduled": True, "Initialized": True}
    return {
        "phase": "Pending" if fate == UNPULLABLE else "Running",
        "conditions": [{"type": kind, "status": str(so)} for kind, so in told.items()],
        "containerStatuses": [
            {
                "name": each["name"],
                "image": each["image"],
                "imageID": "",
                "ready": is_ready,
                "started": is_ready,
                "restartCount": 0,
                "state": states[fate],
            }
            for each in pod["spec"]["containers"]
        ],
    }

"""A double of KubeRay with Serve behind it: a status of before under the new generation, and a dashboard.

Played: after a change of the config the status shows the new observedGeneration with the old RUNNING and
HEALTHY for 2 s while Serve still has the old config; Ready stays True; a change of the cluster starts a
second one beside the first, which takes over when its pods are ready.
"""

from typing import Any

import yaml
from kubernetes.client import ApiClient

from slipway.dataplane.kubernetes.serving.kuberay import CLUSTER_LABEL
from slipway.runtimes import identity

from ..harness.objects import Object
from .double import Double, told

_STALE_S = 2.0
_HEALTHY = {"status": "RUNNING", "serveDeploymentStatuses": {"engine": {"status": "HEALTHY"}}}


class KuberayDouble(Double):
    api_version, kind = "ray.io/v1", "RayService"

    def __init__(self, api: ApiClient, namespace: str) -> None:
        super().__init__(api, namespace)
        self._serve: list[dict[str, Any]] = []
        self._clusters: dict[str, str] = {}

    def dashboard(self, *_: object) -> dict[str, Any]:
        """What `GET /api/serve/applications/` gives of the active cluster."""
        return {
            "applications": {
                each["name"]: {"deployed_app_config": each, "status": "RUNNING", "deployments": {}}
                for each in self._serve
            }
        }

    def changed(self, resource: Object, *, is_first: bool) -> None:
        name, spec = resource["metadata"]["name"], resource["spec"]
        applications = yaml.safe_load(spec["serveConfigV2"])["applications"]
        digest = _digest(spec["rayClusterConfig"])
        active = self._clusters.get(name, "")
        if not is_first:
            self.claim()
        if active != (wanted := f"{name}-{digest[:6]}"):
            self._start(resource, wanted, digest, active)
            self._clusters[name] = wanted
        else:
            self._tell(resource, wanted, [each["name"] for each in applications])
            self.sleep(_STALE_S)
        self._serve = applications
        self._tell(resource, wanted, [each["name"] for each in applications])
        if active and active != wanted:
            self.end_pods(self.pods(f"{CLUSTER_LABEL}={active}"))

    def _start(self, resource: Object, cluster: str, digest: str, active: str) -> None:
        """A second cluster, pending until its pods are ready; the first goes on serving."""
        running = [each["name"] for each in self._serve]
        self._tell(resource, active, running, pending=cluster)
        for number, role in enumerate(("head", "worker")):
            labels = {CLUSTER_LABEL: cluster, "ray.io/node-type": role}
            self.make_pod(resource, f"{cluster}-{role}-{number}", labels, digest, in_env=True)
        self.until(lambda: self.are_ready(f"{CLUSTER_LABEL}={cluster}", 2))

    def _tell(self, resource: Object, active: str, running: list[str], pending: str = "") -> None:
        statuses = {"rayClusterName": active, "applicationStatuses": dict.fromkeys(running, _HEALTHY)}
        status = {
            "observedGeneration": resource["metadata"]["generation"],
            "numServeEndpoints": 2 if active else 0,
            "conditions": told(Ready=bool(active), UpgradeInProgress=bool(pending)),
            **({"activeServiceStatus": statuses} if active else {}),
            **({"pendingServiceStatus": {"rayClusterName": pending}} if pending else {}),
        }
        self.set_status(resource["metadata"]["name"], status)


def _digest(cluster: Object) -> str:
    """The digest in the environment of the head, which all pods of a cluster carry."""
    container = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]
    return next(str(each["value"]) for each in container["env"] if each["name"] == identity.SPEC_DIGEST_ENV)

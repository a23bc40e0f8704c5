"""A double of KubeRay's operator and of Ray's dashboard: clusters of pods, Serve's word, and the operator's.

Belongs here: the status as it was seen with the real operator (1.7 rc) and Ray 2.60. Does not: serving.
Traps: Ready means that there is an endpoint; after a change the new generation with the old RUNNING, or the
old DEPLOY_FAILED, for 2 s; a config that Ray refuses leaves an event and no condition; RUNNING with an empty
map of deployments; a cluster whose pods or applications are broken stays pending; upgradeStrategy None never
applies a change of the cluster.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml
from kubernetes.client import ApiClient

from slipway.runtimes.judging.verdict import Seen, Wanted
from slipway.runtimes.kuberay.render import CLUSTER_DIGEST
from slipway.runtimes.rendering import identity
from slipway.runtimes.workload import OwnWord
from testbed.cluster.objects import Object

from .operator_double import OperatorDouble, condition, is_ready, template

RUNNING, BROKEN = "RUNNING", "DEPLOY_FAILED"


class KubeRayDouble(OperatorDouble):
    """Modes: `broken-import`, `refused`, `no-deployments`, `never-upgrades`."""

    api_version, kind = "ray.io/v1", "RayService"

    def __init__(self, api: ApiClient, namespace: str) -> None:
        super().__init__(api, namespace)
        self.document: dict[str, Any] = {"applications": {}}
        self._active, self._cluster_digest = "", ""
        self._statuses: dict[str, Any] = {}

    def dashboard(self, question: OwnWord, wanted: Wanted, seen: Seen) -> Mapping[str, Any]:
        """`GET /api/serve/applications/`, in place of the real one behind the API server."""
        return self.document

    def reconcile(self, found: Object) -> Iterator[str]:
        """The cluster first, then Serve's config."""
        if self.mode == "refused":
            self._warn(found, "num_replicas must be positive")
            yield "refused"
            return
        digest = found["metadata"]["annotations"][CLUSTER_DIGEST]
        if digest != self._cluster_digest and not (self._active and self.mode == "never-upgrades"):
            yield from self._new_cluster(found, digest)
            if digest != self._cluster_digest:
                return
        self._tell(found)  # the new generation, and Serve's old word
        yield "stale"
        self._deploy(found)
        yield "deployed"
        if self.mode == "no-deployments":
            self.mode = ""
            self._deploy(found)

    def _new_cluster(self, found: Object, digest: str) -> Iterator[str]:
        pending = f"{found['metadata']['name']}-{digest[:5]}"
        env = [{"name": identity.SPEC_DIGEST_ENV, "value": digest}]
        for role in ("head", "worker"):
            labels = {"ray.io/cluster": pending, "ray.io/node-type": role}
            self.make_pod(f"{pending}-{role}", template(labels, env=env))
        self._tell(found, pending)
        yield "pending"
        if self.until(lambda: all(map(is_ready, self.pods(f"ray.io/cluster={pending}")))):
            if self.mode == "broken-import":  # it is never made the active one
                self._deploy(found, pending)
                return
            old, self._active, self._cluster_digest = self._active, pending, digest
            self._deploy(found)
            if old:
                self.remove_pods(self.pods(f"ray.io/cluster={old}"))

    def _deploy(self, found: Object, pending: str = "") -> None:
        """Serve takes the config in, and says of each application what the mode wants."""
        config = yaml.safe_load(found["spec"]["serveConfigV2"])
        status = BROKEN if self.mode == "broken-import" else RUNNING
        message = "ModuleNotFoundError: No module named 'nowhere'" if status == BROKEN else ""
        deployments = {} if self.mode == "no-deployments" else {"engine": {"status": "HEALTHY"}}
        said = {"status": status, "message": message, "deployments": deployments}
        told = {"status": status, "message": message, "serveDeploymentStatuses": deployments}
        if not pending:
            self._statuses = {each["name"]: told for each in config["applications"]}
        # Serve answers before the operator tells of it: the old HEALTHY stands beside the new config.
        self.document = {
            "applications": {
                each["name"]: {"deployed_app_config": each, **said} for each in config["applications"]
            }
        }
        self._tell(found, pending)

    def _tell(self, found: Object, pending: str = "") -> None:
        """Ready as soon as there is an active cluster, and from then on."""
        active = {"rayClusterName": self._active, "applicationStatuses": self._statuses}
        told = [
            condition("Ready", bool(self._active)),
            condition("UpgradeInProgress", bool(pending and self._active)),
        ]
        self.tell(
            found,
            observedGeneration=found["metadata"]["generation"],
            numServeEndpoints=2 if self._active else 0,
            conditions=told,
            **({"activeServiceStatus": active} if self._active else {}),
            **({"pendingServiceStatus": {"rayClusterName": pending}} if pending else {}),
        )

    def _warn(self, found: Object, message: str) -> None:
        named = found["metadata"]
        about = {"apiVersion": self.api_version, "kind": self.kind, "uid": named["uid"]}
        self.make(
            {
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {"name": f"{named['name']}.refused"},
                "regarding": {**about, "name": named["name"], "namespace": self.namespace},
                "type": "Warning",
                "reason": "FailedToUpdateServeApplications",
                "action": "Update",
                "note": message,
                "eventTime": datetime.now(UTC).isoformat(timespec="microseconds"),
                "reportingController": "rayservice-controller",
                "reportingInstance": "double",
            }
        )

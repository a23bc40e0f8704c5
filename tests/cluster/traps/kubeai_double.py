"""A double of KubeAI: pods of a Model by hash, and a status that counts the old ones for a while.

Belongs here: pods and counts. Does not: its proxy, its autoscaler, cache jobs.
Traps: for 3 s after a change the old counts; a surge pod that hangs while the old one serves.
"""

import hashlib
import json
from collections.abc import Iterator

from testbed.cluster.objects import Object

from .operator_double import OperatorDouble, is_ready, template


class KubeAIDouble(OperatorDouble):
    """Modes: `surge` brings a new pod up before an old one goes."""

    api_version, kind = "kubeai.org/v1", "Model"

    def reconcile(self, found: Object) -> Iterator[str]:
        """Old counts first, then pods of the new hash."""
        name, spec = found["metadata"]["name"], dict(found["spec"])
        wanted = int(spec.pop("replicas", spec.get("minReplicas", 1)))
        pod_hash = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:8]
        old = [each for each in self._pods(name) if each["metadata"]["labels"]["pod-hash"] != pod_hash]
        self._scale(name, wanted)
        yield "stale"
        if not old and len(self._pods(name)) == wanted:
            return
        if self.mode != "surge":
            self.remove_pods(old)
        for number in range(wanted):
            self.make_pod(f"model-{name}-{pod_hash}-{number}", _template(name, found, pod_hash))
        self._count(found)
        yield "surge"
        kept = len(old) if self.mode == "surge" else 0
        if self.until(lambda: sum(map(is_ready, self._pods(name))) == wanted + kept):
            self.remove_pods(old)
            self._count(found)

    def _pods(self, name: str) -> list[Object]:
        return self.pods(f"model={name}")

    def _scale(self, name: str, replicas: int) -> None:
        """`spec.replicas` is the operator's."""
        path = self.objects.path(self.api_version, self.kind, self.namespace, name)
        made = {"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": name}}
        body = {**made, "spec": {"replicas": replicas}}
        self.objects.call("PATCH", path, body, fieldManager="kubeai", force="true")

    def _count(self, found: Object) -> None:
        pods = self._pods(found["metadata"]["name"])
        self.tell(found, replicas={"all": len(pods), "ready": sum(map(is_ready, pods))})


def _template(name: str, found: Object, pod_hash: str) -> Object:
    env = [{"name": key, "value": value} for key, value in found["spec"].get("env", {}).items()]
    return template({"model": name, "pod-hash": pod_hash}, env=env)

"""A double of KubeAI: pods without annotations, and a status that is 3 s old.

Played: for about 3 s after a change `status.replicas` still shows the old counts as if all were ready;
`spec.replicas` is the operator's; pods are replaced one after the other (surge 0).
"""

from slipway.runtimes import identity

from ..harness.objects import Object
from .double import Double

_STALE_S = 3.0


class KubeaiDouble(Double):
    api_version, kind = "kubeai.org/v1", "Model"

    def changed(self, resource: Object, *, is_first: bool) -> None:
        name, spec = resource["metadata"]["name"], resource["spec"]
        replicas = int(spec.get("replicas") or spec.get("minReplicas") or 0)
        if spec.get("replicas") is None and replicas:
            self._take_replicas(resource, replicas)
        digest = spec["env"][identity.SPEC_DIGEST_ENV]
        if not is_first:
            self.claim()  # the old counts, all ready
            self.sleep(_STALE_S)
        labels = {"model": name, "pod-hash": digest[:8]}
        for number in range(replicas):
            old = [p for p in self.pods(f"model={name}") if p["metadata"]["labels"]["pod-hash"] != digest[:8]]
            self.end_pods(old[:1])
            self.make_pod(resource, f"model-{name}-{digest[:8]}-{number}", labels, digest, in_env=True)
        self.until(lambda: self.are_ready(f"model={name}", replicas))
        self.set_status(name, {"replicas": {"all": replicas, "ready": replicas}})

    def _take_replicas(self, resource: Object, replicas: int) -> None:
        """The operator writes the number of replicas under its own name."""
        path = self.objects.path(self.api_version, self.kind, self.namespace, resource["metadata"]["name"])
        found = self.objects.call("GET", path)
        found["spec"]["replicas"] = replicas
        stored = self.objects.call("PUT", path, found, fieldManager="kubeai-manager")
        self._seen[resource["metadata"]["name"]] = stored["metadata"]["generation"]

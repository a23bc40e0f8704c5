"""A double of the LeaderWorkerSet controller: groups of a leader and workers, and an honest status.

Played: observedGeneration within 40 ms; the conditions and counts follow the groups, replaced one by one.
"""

from ..harness.objects import Object
from .double import Double, told


class LeaderWorkerSetDouble(Double):
    api_version, kind = "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"

    def changed(self, resource: Object, *, is_first: bool) -> None:
        name, spec = resource["metadata"]["name"], resource["spec"]
        replicas, size = int(spec["replicas"]), int(spec["leaderWorkerTemplate"]["size"])
        generation = resource["metadata"]["generation"]
        self._tell(name, generation, updated=0, ready=0 if is_first else replicas, available=not is_first)
        for group in range(replicas):
            self.end_pods(self.pods(f"leaderworkerset.sigs.k8s.io/name={name},group={group}"))
            self._make_group(resource, group, size)
            self._tell(name, generation, updated=group + 1, ready=replicas - 1, available=False)
            self.until(
                lambda g=group: self.are_ready(f"leaderworkerset.sigs.k8s.io/name={name},group={g}", size)
            )
        self._tell(name, generation, updated=replicas, ready=replicas, available=True)

    def _make_group(self, resource: Object, group: int, size: int) -> None:
        name = resource["metadata"]["name"]
        template = resource["spec"]["leaderWorkerTemplate"]["workerTemplate"]["metadata"]
        labels = {**template["labels"], "leaderworkerset.sigs.k8s.io/name": name, "group": str(group)}
        for number in range(size):
            digest = template["annotations"]["slipway.dev/spec-digest"]
            generation = resource["metadata"]["generation"]
            self.make_pod(resource, f"{name}-{generation}-{group}-{number}", labels, digest)

    def _tell(self, name: str, generation: int, *, updated: int, ready: int, available: bool) -> None:
        status = {"observedGeneration": generation, "updatedReplicas": updated, "readyReplicas": ready}
        self.set_status(name, {**status, "replicas": ready, "conditions": told(Available=available)})

"""A double of the LeaderWorkerSet controller: groups of pods, replaced one after the other.

Belongs here: groups and their counts. Does not: the StatefulSets between, restarts of groups.
What could deceive: Available before the new generation is seen (40 ms, 0.3 s on a busy machine), and
readyReplicas = replicas with groups of both specs. Its conditions are honest: Available is False and
UpdateInProgress True until the last group is replaced.
"""

from collections.abc import Iterator

from testbed.cluster.objects import Object

from .operator_double import OperatorDouble, condition, is_ready, template


class LeaderWorkerSetDouble(OperatorDouble):
    """Honest, as the controller is."""

    api_version, kind = "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"

    def reconcile(self, found: Object) -> Iterator[str]:
        """Group by group."""
        yield "unseen"
        name, spec = found["metadata"]["name"], found["spec"]
        groups = int(spec.get("replicas", 1))
        was_there = bool(self._pods(name))
        for group in range(groups):
            self._replace(name, group, spec["leaderWorkerTemplate"], found["metadata"]["generation"])
            if not self.until(lambda: all(map(is_ready, self._pods(name)))):
                return
            ready = groups if was_there else group + 1
            self._count(found, groups, group + 1, ready, is_last=group + 1 == groups)
            yield "half"

    def _count(self, found: Object, groups: int, updated: int, ready: int, is_last: bool) -> None:
        self.tell(
            found,
            observedGeneration=found["metadata"]["generation"],
            conditions=[condition("Available", is_last), condition("UpdateInProgress", not is_last)],
            replicas=groups,
            updatedReplicas=updated,
            readyReplicas=ready,
        )

    def _replace(self, name: str, group: int, spec: Object, generation: int) -> None:
        self.remove_pods(
            [each for each in self._pods(name) if each["metadata"]["labels"]["group"] == str(group)]
        )
        metadata = spec["workerTemplate"]["metadata"]
        labels = {**metadata["labels"], "lws": name, "group": str(group)}
        for member in range(int(spec["size"])):
            self.make_pod(f"{name}-{group}-{member}-{generation}", template(labels, metadata["annotations"]))

    def _pods(self, name: str) -> list[Object]:
        return self.pods(f"lws={name}")

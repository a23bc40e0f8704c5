"""A double of Dynamo's operator: a pod per replica of each component, and a Ready that old workers keep True.

Belongs here: the graph's status. Does not: its scaling adapters, models, discovery.
"""

from collections.abc import Iterator

from testbed.cluster.objects import Object

from .operator_double import OperatorDouble, condition, is_ready, template


class DynamoDouble(OperatorDouble):
    """A rolling update keeps the old workers until the new ones are ready."""

    api_version, kind = "nvidia.com/v1beta1", "DynamoGraphDeployment"

    def reconcile(self, found: Object) -> Iterator[str]:
        """The generation is seen, workers are replaced, the update is completed."""
        yield "unseen"
        name, generation = found["metadata"]["name"], found["metadata"]["generation"]
        old = self.pods(f"graph={name}")
        for component in found["spec"]["components"]:
            metadata = component["podTemplate"]["metadata"]
            made = template({**metadata["labels"], "graph": name}, metadata["annotations"])
            for number in range(int(component.get("replicas", 1))):
                self.make_pod(f"{name}-{component['name'].lower()}-{generation}-{number}", made)
        self._say(found, bool(old), {"phase": "InProgress"} if old else None)
        yield "rolls"
        if self.until(lambda: all(map(is_ready, self.pods(f"graph={name}")))):
            self.remove_pods(old)
            self._say(found, True, {"phase": "Completed"} if old else None)

    def _say(self, found: Object, is_so: bool, update: Object | None) -> None:
        told = condition("Ready", is_so, "all_resources_are_ready" if is_so else "some_resources_are_not")
        rolling = {"rollingUpdate": update} if update else {}
        self.tell(found, observedGeneration=found["metadata"]["generation"], conditions=[told], **rolling)

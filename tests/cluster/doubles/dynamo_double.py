"""A double of Dynamo's operator: pods per component, and workers replaced by a rolling update.

Played: Ready and its observedGeneration of before for a moment; then the new generation, Ready, with
rollingUpdate InProgress while old workers answer; then Completed.
"""

from ..harness.objects import Object
from .double import Double, told

_LAG_S = 0.3


class DynamoDouble(Double):
    api_version, kind = "nvidia.com/v1beta1", "DynamoGraphDeployment"

    def changed(self, resource: Object, *, is_first: bool) -> None:
        name, generation = resource["metadata"]["name"], resource["metadata"]["generation"]
        if not is_first:
            self.claim()
            self.sleep(_LAG_S)
        done = {"observedGeneration": generation, "conditions": told(Ready=True)}
        if not is_first:
            self.set_status(name, {**done, "rollingUpdate": {"phase": "InProgress"}})
        everyone = f"nvidia.com/dynamo-graph-deployment-name={name}"
        old = self.pods(everyone)
        made = [
            pod
            for component in resource["spec"]["components"]
            for pod in self._replace(resource, component, everyone)
        ]
        self.until(lambda: self._ready(everyone, made))
        self.end_pods(old)
        self.set_status(name, {**done, "rollingUpdate": {"phase": "Completed"}})

    def _replace(self, resource: Object, component: Object, everyone: str) -> list[str]:
        template = component["podTemplate"]["metadata"]
        key, _, value = everyone.partition("=")
        generation, names = resource["metadata"]["generation"], []
        for number in range(int(component.get("replicas") or 1)):
            names.append(f"{resource['metadata']['name']}-{component['name'].lower()}-{generation}-{number}")
            digest = template["annotations"]["slipway.dev/spec-digest"]
            self.make_pod(resource, names[-1], {**template.get("labels", {}), key: value}, digest)
        return names

    def _ready(self, everyone: str, names: list[str]) -> bool:
        conditions = {
            each["metadata"]["name"]: each.get("status", {}).get("phase") for each in self.pods(everyone)
        }
        return all(conditions.get(name) == "Running" for name in names)

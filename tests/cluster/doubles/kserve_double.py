"""Doubles of KServe: Ready says True through everything; the Deployment tells.

Played: Ready stays True while rolling; observedGeneration of an InferenceService is the child Deployment's.
"""

from typing import Any

from ..harness.objects import Object
from .double import Double, told

# Between seeing a change and writing the Deployment.
_RECONCILE_S = 0.5


class InferenceServiceDouble(Double):
    api_version, kind, suffix = "serving.kserve.io/v1beta1", "InferenceService", "-predictor"

    def changed(self, resource: Object, *, is_first: bool) -> None:
        name = resource["metadata"]["name"]
        if not is_first:
            self.claim()  # Ready is True, and stays so
        self.sleep(_RECONCILE_S)
        replicas, template = self.wanted(resource["spec"])
        self.make_deployment(resource, name + self.suffix, replicas, template)
        self.set_status(
            name, {"conditions": told(Ready=True, PredictorReady=True), **self.observed(resource)}
        )
        self.until(lambda: self.is_rolled_out(name + self.suffix, replicas))

    def wanted(self, spec: Object) -> tuple[int, Object]:
        predictor: dict[str, Any] = spec["predictor"]
        metadata = {"annotations": predictor.get("annotations", {}), "labels": predictor.get("labels", {})}
        model = predictor["model"]
        container = {"name": "kserve-container", "image": "engine:1", "env": model.get("env", [])}
        return predictor["minReplicas"], {"metadata": metadata, "spec": {"containers": [container]}}

    def observed(self, resource: Object) -> Object:
        child = self.objects.get(
            "apps/v1", "Deployment", resource["metadata"]["name"] + self.suffix, self.namespace
        )
        return {"observedGeneration": (child or {}).get("metadata", {}).get("generation", 0)}


class LlmInferenceServiceDouble(InferenceServiceDouble):
    """Sets its own observedGeneration within 0.15 s; its Ready says as little."""

    api_version, kind, suffix = "serving.kserve.io/v1alpha2", "LLMInferenceService", "-kserve"

    def wanted(self, spec: Object) -> tuple[int, Object]:
        metadata = {"annotations": spec.get("annotations", {}), "labels": spec.get("labels", {})}
        container = {"name": "main", "image": "engine:1"}
        return spec["replicas"], {"metadata": metadata, "spec": {"containers": [container]}}

    def observed(self, resource: Object) -> Object:
        return {"observedGeneration": resource["metadata"]["generation"]}

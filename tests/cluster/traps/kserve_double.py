"""Doubles of KServe's two controllers: a Deployment each, and a Ready that tells little of it.

Belongs here: InferenceService and LLMInferenceService. Does not: storage initializer, autoscalers.
Traps: Ready is the Deployment's Available, so it is True while rolling, with an image that cannot be pulled,
at zero replicas, and before any pod is ready where all may be unavailable; an InferenceService's
observedGeneration is its Deployment's.
"""

from collections.abc import Iterator
from typing import ClassVar

from testbed.cluster.objects import Object
from testbed.cluster.objects import condition as status_of

from .operator_double import OperatorDouble, condition, template


class InferenceServiceDouble(OperatorDouble):
    """Modes: `zero` brings no replica up, as its KEDA class does without requests."""

    api_version, kind = "serving.kserve.io/v1beta1", "InferenceService"
    suffix: ClassVar[str] = "-predictor"

    def reconcile(self, found: Object) -> Iterator[str]:
        """Ready once, and then for good."""
        name = f"{found['metadata']['name']}{self.suffix}"
        if status_of(found, "Ready") is None:
            self.tell(found, conditions=[condition("Ready", False)])
        yield "unseen"
        replicas = 0 if self.mode == "zero" else self.replicas(found)
        self.deploy(name, self.pod_of(found), replicas, selected=self.selected(found))
        self.until(lambda: status_of(self.deployment(name), "Available"))
        self._say(found, name)
        yield "rolls"
        if self.until(lambda: self.is_rolled_out(name)):
            self._say(found, name)

    def _say(self, found: Object, name: str) -> None:
        is_ready = status_of(self.deployment(name), "Available") == "True"
        child = self.deployment(name)["status"].get("observedGeneration", 0)
        seen = self.generation(found, child)
        self.tell(found, observedGeneration=seen, conditions=[condition("Ready", is_ready)])

    def generation(self, found: Object, child: int) -> int:
        """The child's, which says nothing of the service."""
        return child

    def selected(self, found: Object) -> Object:
        """Labels of the service in the Deployment's selector: none."""
        return {}

    def replicas(self, found: Object) -> int:
        """As many as the service asks for at least."""
        return int(found["spec"]["predictor"].get("minReplicas", 1))

    def pod_of(self, found: Object) -> Object:
        """Labels and annotations of the predictor reach the pods."""
        predictor = found["spec"]["predictor"]
        return template(predictor.get("labels"), predictor.get("annotations"), predictor["model"].get("env"))


class LLMInferenceServiceDouble(InferenceServiceDouble):
    """Its own generation, and a Ready that says as little."""

    api_version, kind = "serving.kserve.io/v1alpha2", "LLMInferenceService"
    suffix = "-kserve"

    def generation(self, found: Object, child: int) -> int:
        """Its own, within 0.15 s."""
        return int(found["metadata"]["generation"])

    def selected(self, found: Object) -> Object:
        """All of the spec's, which therefore can never change."""
        return dict(found["spec"].get("labels") or {})

    def replicas(self, found: Object) -> int:
        """A number."""
        return int(found["spec"].get("replicas", 1))

    def pod_of(self, found: Object) -> Object:
        """The spec's labels and annotations reach the pods."""
        spec = found["spec"]
        env = spec["template"]["containers"][0].get("env")
        return template(spec.get("labels"), spec.get("annotations"), env)

"""A double of the NIM operator: a Deployment of the service's name, and a state without a generation.

Belongs here: what was seen of the real one. Does not: NIMCache's jobs.
Traps: `state` lags a change; a bad image is NotReady for ever; metrics without their kind are Failed; fields
that nobody gave are filled in with zeros, which then are the operator's.
"""

from collections.abc import Iterator

from testbed.cluster.objects import Object

from .operator_double import OperatorDouble, condition, template


class NimDouble(OperatorDouble):
    """Modes: `no-monitor` ends in Failed."""

    api_version, kind = "apps.nvidia.com/v1alpha1", "NIMService"

    def reconcile(self, found: Object) -> Iterator[str]:
        """The state of before; then NotReady until the Deployment is rolled out."""
        spec, name = found["spec"], found["metadata"]["name"]
        if "scale" not in spec:
            self._fill_in(found)
            return
        yield "lags"
        if self.mode == "no-monitor":
            said = "no matches for kind ServiceMonitor"
            self.tell(found, state="Failed", conditions=[condition("Failed", True, "ServiceMonitor", said)])
            return
        self.tell(found, state="NotReady", conditions=[condition("Ready", False)])
        pod = template(spec.get("labels"), spec.get("annotations"), spec.get("env"))
        self.deploy(name, pod, spec.get("replicas", 1))
        yield "rolls"
        if self.until(lambda: self.is_rolled_out(name)):
            self.tell(found, state="Ready", conditions=[condition("Ready", True)])

    def _fill_in(self, found: Object) -> None:
        """Written back whole, as the real one does to add its finalizer."""
        path = self.objects.path(self.api_version, self.kind, self.namespace, found["metadata"]["name"])
        filled = {**found["spec"], "scale": {"hpa": {"maxReplicas": 0, "minReplicas": 1}}}
        whole = {"apiVersion": self.api_version, "kind": self.kind, **found, "spec": filled}
        self.objects.call("PUT", path, whole, fieldManager="manager")

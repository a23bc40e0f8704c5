"""A double of NIM's operator: a state without a generation, and a Deployment of the same name.

Played: `state: Ready` lags a change by 0.15 s; while pods are not ready it says NotReady, never Failed.
"""

from ..harness.objects import Object
from .double import Double

_LAG_S = 0.15


class NimDouble(Double):
    api_version, kind = "apps.nvidia.com/v1alpha1", "NIMService"

    def changed(self, resource: Object, *, is_first: bool) -> None:
        name, spec = resource["metadata"]["name"], resource["spec"]
        if not is_first:
            self.claim()
            self.sleep(_LAG_S)
        metadata = {"annotations": spec.get("annotations", {}), "labels": spec.get("labels", {})}
        env = [each for each in spec.get("env", []) if "value" in each]
        template = {
            "metadata": metadata,
            "spec": {"containers": [{"name": f"{name}-ctr", "image": "engine:1", "env": env}]},
        }
        self.set_status(name, {"state": "NotReady"})
        self.make_deployment(resource, name, spec["replicas"], template)
        self.until(lambda: self.is_rolled_out(name, spec["replicas"]))
        self.set_status(name, {"state": "Ready"})

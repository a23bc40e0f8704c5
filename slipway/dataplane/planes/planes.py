"""All data planes of an environment as one: each deployment goes to the one that its runtime and name say.

Belongs here: choosing.
Does not: what a plane does (slipway.dataplane.ray, slipway.dataplane.kubernetes), connecting (connected.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.runtimes import KUBERNETES, RUNTIMES
from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.protocol import AsksReplicas, DataPlane, Difference, LiveApplication, Report
from slipway.dataplane.ray import connecting as plain_ray
from slipway.records.revisions import Applied

if TYPE_CHECKING:
    from slipway.dataplane.kubernetes.kubernetes import Kubernetes


@dataclass(frozen=True)
class Key:
    """Names one plane: of Kubernetes with the data plane's name; there is one at most of every other kind."""

    kind: str
    name: str = "default"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.kind == KUBERNETES else self.kind


def key_of(runtime: str, data_plane: str) -> Key:
    """The plane of a deployment."""
    kind = RUNTIMES[runtime].plane
    return Key(kind, data_plane) if kind == KUBERNETES else Key(kind)


class Planes:
    """The connected planes as one (slipway.dataplane.protocol.DataPlane); each is made when it is needed."""

    def __init__(self, makers: Mapping[Key, Callable[[], DataPlane]]) -> None:
        self._makers = dict(makers)
        self._made: dict[Key, DataPlane] = {}

    def plane(self, key: Key) -> DataPlane:
        """One plane; raises DataPlaneError when the environment does not connect it."""
        if key not in self._makers:
            connected = ", ".join(str(each) for each in self._makers) or "none"
            raise DataPlaneError(
                f"The data plane {key} is not connected (connected: {connected}). Set SLIPWAY_KUBECONFIG, or "
                "SLIPWAY_KUBECONFIG_<NAME> for another name than default; for Ray SLIPWAY_RAY_DASHBOARD_URL."
            )
        if key not in self._made:
            self._made[key] = self._makers[key]()
        return self._made[key]

    @cached_property
    def _all(self) -> tuple[DataPlane, ...]:
        return tuple(self.plane(key) for key in self._makers)

    def __str__(self) -> str:
        return ", ".join(str(each) for each in self._makers)

    def kubernetes(self) -> tuple[Kubernetes, ...]:
        """Those that are Kubernetes clusters."""
        from slipway.dataplane.kubernetes.kubernetes import Kubernetes

        return tuple(plane for plane in self._all if isinstance(plane, Kubernetes))

    def clusters(self) -> tuple[str, ...]:
        """Names of the Kubernetes clusters that the environment connects."""
        return tuple(key.name for key in self._makers if key.kind == KUBERNETES)

    def cluster(self, name: str) -> Kubernetes:
        """One Kubernetes cluster; raises DataPlaneError when the environment does not connect it."""
        from slipway.dataplane.kubernetes.kubernetes import Kubernetes

        cluster = self.plane(Key(KUBERNETES, name))
        assert isinstance(cluster, Kubernetes)
        return cluster

    def of(self, applied: Applied) -> DataPlane:
        """The plane that an application is, or is to be, on; what Ray Serve is given names none."""
        name = applied.rendered.get("data_plane")
        return self.plane(Key(plain_ray.KIND) if name is None else Key(KUBERNETES, str(name)))

    def render(self, resolved: ResolvedDeployment) -> Applied:
        """By the deployment's runtime and data plane."""
        deployment = resolved.deployment
        return self.plane(key_of(deployment.runtime, deployment.data_plane)).render(resolved)

    def diff(self, wanted: Applied) -> Difference:
        """On its plane."""
        return self.of(wanted).diff(wanted)

    def apply(self, wanted: Applied) -> None:
        """On its plane."""
        self.of(wanted).apply(wanted)

    def wait(self, wanted: Applied, deadline_s: float, report: Report) -> None:
        """On its plane."""
        self.of(wanted).wait(wanted, deadline_s, report)

    def status(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        """On all planes: a deployment may have moved from one to another."""
        return tuple(application for plane in self._all for application in plane.status(deployment))

    def confirmed(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        """As `status`, and where a plane's word may be of what was, its replicas are asked."""
        return tuple(
            application
            for plane in self._all
            for application in (
                plane.asked(plane.status(deployment))
                if isinstance(plane, AsksReplicas)
                else plane.status(deployment)
            )
        )

    def roll_back(self, good: Applied, deadline_s: float, report: Report) -> None:
        """On the plane where that revision was."""
        self.of(good).roll_back(good, deadline_s, report)

    def park(self, applications: frozenset[str], report: Report) -> frozenset[str]:
        """On each plane what it has; returns what none could keep at zero."""
        for plane in self._all:
            applications &= plane.park(applications, report)
        return applications

    def publish(self, wanted: Applied) -> None:
        """On its plane."""
        self.of(wanted).publish(wanted)

    def delete(self, applications: frozenset[str], report: Report) -> None:
        """From each plane what it has; what `status` does not tell of any more may still be half removed."""
        for plane in self._all:
            plane.delete(applications, report)

    def endpoint(self, wanted: Applied) -> str:
        """On its plane."""
        return self.of(wanted).endpoint(wanted)

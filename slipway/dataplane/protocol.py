"""What every data plane can do, and the values that it speaks in.

Belongs here: the protocol and its values, the same for Ray Serve and Kubernetes.
Does not: one cluster's API (slipway.dataplane.ray, slipway.dataplane.kubernetes), the order of a rollout
(slipway.control.rollout).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from slipway.catalog.resolved import ResolvedDeployment
from slipway.records.revisions import Applied


@dataclass(frozen=True)
class Progress:
    """One observation while waiting: for the run log, in the words of the runtime."""

    application: str
    state: str
    replicas_ready: int
    replicas_wanted: int
    message: str = ""

    def __str__(self) -> str:
        replicas = f"{self.replicas_ready}/{self.replicas_wanted} replicas"
        return f"{self.application}: {self.state}, {replicas}" + (f", {self.message}" if self.message else "")


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Difference:
    """What applying a spec would do to one application; `fields` are dotted paths that differ.

    `detail` says it for a person: object by object with old and new values, where the plane knows them.
    """

    action: Literal["create", "update", "none"]
    application: str
    fields: tuple[str, ...] = ()
    detail: tuple[str, ...] = ()


@dataclass(frozen=True)
class LiveApplication:
    """One application of Slipway as it is in the cluster now, whoever applied it.

    A parked one is kept at zero replicas for rolling back; it does not serve.
    """

    name: str
    deployment: str
    spec_digest: str
    upstream: str
    state: str
    message: str
    replicas_ready: int
    replicas_wanted: int
    is_serving: bool
    is_parked: bool = False


@runtime_checkable
class AsksReplicas(Protocol):
    """A plane whose status may still tell of what ran before a restart: replicas are asked themselves."""

    def asked(self, live: Iterable[LiveApplication]) -> tuple[LiveApplication, ...]:
        """These, with whether they serve by their replicas' word."""
        ...


class DataPlane(Protocol):
    """One cluster. All methods block; all may raise DataPlaneUnreachableError."""

    def render(self, resolved: ResolvedDeployment) -> Applied:
        """What `apply` would send. Pure."""
        ...

    def diff(self, wanted: Applied) -> Difference:
        """What `apply` would change. Changes nothing."""
        ...

    def apply(self, wanted: Applied) -> None:
        """Send the spec; harmless when it is there. Raises ConfigRefusedError, changing nothing."""
        ...

    def wait(self, wanted: Applied, deadline_s: float, report: Report) -> None:
        """Return when every running replica serves this very spec; raises NotServingError with the cause."""
        ...

    def status(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        """Every application of the deployment, of any revision; without one, of all of Slipway's."""
        ...

    def roll_back(self, good: Applied, deadline_s: float, report: Report) -> None:
        """Bring a recorded revision back and wait until it serves; raises NotServingError."""
        ...

    def park(self, applications: frozenset[str], report: Report) -> frozenset[str]:
        """Keep applications at zero replicas, where the plane can; returns those that it cannot keep so."""
        ...

    def publish(self, wanted: Applied) -> None:
        """Let stable names inside the cluster lead to this application; harmless when they do."""
        ...

    def delete(self, applications: frozenset[str], report: Report) -> None:
        """Remove applications and wait until they are gone; harmless when they are."""
        ...

    def endpoint(self, wanted: Applied) -> str:
        """OpenAI base URL of the application, ending in /v1."""
        ...

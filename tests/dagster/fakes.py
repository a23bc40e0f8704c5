"""Fakes of the clusters that the drift sensor looks at and repairs; all else of its tests is real.

The store is moto's S3, the tenants are in SQLite, prices in DuckDB, weights come from a folder, and rollouts,
validations and routes go through the code that production runs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from slipway.catalog import Catalog, Endpoint, ResolvedDeployment
from slipway.control.cluster_parts import Drift, Part, Prepared, parts
from slipway.dataplane.errors import NotServingError
from slipway.dataplane.kubernetes.cluster_parts import Serving
from slipway.dataplane.protocol import Difference, LiveApplication, Report
from slipway.dataplane.validation.validation import CheckResult, checks_of
from slipway.records.revisions import Applied, Revision
from slipway.runtimes.cluster.edge_status import EdgeStatus


@dataclass
class FakePlanes:
    """All data planes as one, in memory. What is applied serves at once, unless it is told to fail."""

    applications: dict[str, LiveApplication] = field(default_factory=dict)
    refuses_to_serve: bool = False
    answers_wrongly: bool = False

    def lose(self, deployment: str) -> None:
        """As if somebody had deleted it from the cluster."""
        for name in [name for name, live in self.applications.items() if live.deployment == deployment]:
            del self.applications[name]

    def validate(self, revision: Revision, settings: object) -> list[CheckResult]:
        """What a probe finds there."""
        passed = not self.answers_wrongly
        message = "" if passed else "answers wrongly"
        return [CheckResult(name, passed, {}, message) for name in checks_of(revision.task)]

    def clusters(self) -> tuple[str, ...]:
        return ()

    def render(self, resolved: ResolvedDeployment) -> Applied:
        application = f"{resolved.name}-{resolved.spec_digest[:8]}"
        rendered = {"name": application, "spec_digest": resolved.spec_digest}
        return Applied(application, resolved.name, resolved.spec_digest, rendered)

    def diff(self, wanted: Applied) -> Difference:
        is_there = wanted.application in self.applications
        return Difference("none" if is_there else "create", wanted.application)

    def apply(self, wanted: Applied) -> None:
        self.applications[wanted.application] = LiveApplication(
            name=wanted.application,
            deployment=wanted.deployment,
            spec_digest=wanted.spec_digest,
            upstream=self.endpoint(wanted),
            state="RUNNING",
            message="",
            replicas_ready=1,
            replicas_wanted=1,
            is_serving=not self.refuses_to_serve,
        )

    def wait(self, wanted: Applied, deadline_s: float, report: Report) -> None:
        if not self.applications[wanted.application].is_serving:
            raise NotServingError(wanted.application, cause="the fake was told not to serve")

    def status(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        live = self.applications.values()
        return tuple(each for each in live if deployment in (None, each.deployment))

    def roll_back(self, good: Applied, deadline_s: float, report: Report) -> None:
        self.apply(good)
        self.wait(good, deadline_s, report)

    def park(self, applications: frozenset[str], report: Report) -> frozenset[str]:
        return applications

    def publish(self, wanted: Applied) -> None: ...

    def delete(self, applications: frozenset[str], report: Report) -> None:
        for name in applications:
            self.applications.pop(name, None)

    def endpoint(self, wanted: Applied) -> str:
        return f"http://fake.invalid/{wanted.application}/v1"


@dataclass
class FakeClusterParts:
    """What stands around deployments on Kubernetes, in memory: what was brought, and what drifted since."""

    brought: set[Part] = field(default_factory=set)

    def lose(self, part: Part) -> None:
        """As if somebody had deleted it from the cluster."""
        self.brought.remove(part)

    def prepare(self, catalog: Catalog, name: str, progress: Callable[[str], None]) -> Prepared:
        self.brought.add(Part("data_plane", name))
        return Prepared((), (), "slipway-store")

    def serve(self, catalog: Catalog, endpoint: Endpoint, progress: Callable[[str], None]) -> Serving:
        self.brought.add(Part("gateway", endpoint.name))
        return Serving((), f"https://{endpoint.host}/v1", EdgeStatus(True, "taken", (), None, ""))

    def retire(self, catalog: Catalog, progress: Callable[[str], None]) -> tuple[str, ...]:
        return ()

    def drifts(self, catalog: Catalog) -> list[Drift]:
        return list(self._drifts(parts(catalog)))

    def _drifts(self, wanted: Iterable[Part]) -> Iterable[Drift]:
        for part in wanted:
            yield Drift(part, trouble="" if part in self.brought else "it is not there")

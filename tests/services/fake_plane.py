"""A data plane that has what it is told, and notes what is asked of it; no cluster is there."""

from dataclasses import dataclass, field

from slipway.dataplane.protocol import LiveApplication, Report
from slipway.records.revisions import Applied


@dataclass
class FakePlane:
    """Notes what is brought back and removed, and what stable names lead to."""

    there: list[LiveApplication] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    brought: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)

    def status(self, deployment: str | None = None) -> list[LiveApplication]:
        return [live for live in self.there if deployment in (None, live.deployment)]

    def roll_back(self, good: Applied, deadline_s: float, report: Report) -> None:
        self.brought.append(good.spec_digest)

    def publish(self, wanted: Applied) -> None:
        self.published.append(wanted.spec_digest)

    def park(self, applications: frozenset[str], report: Report) -> frozenset[str]:
        return applications

    def delete(self, applications: frozenset[str], report: Report) -> None:
        self.removed |= applications

"""The drift sensor as a state machine: tick, execute what it asks for, tick again.

Belongs here: the harness, on a real Dagster instance and the definitions that production builds.
Does not: the clusters behind it (fakes.py), the catalogs (conftest.py), or what is expected of a state
(test_drift_states.py).
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.definitions import build_definitions
from resources.all import resources
from sensors.catalog_drift import REASON_TAG, SUBJECTS_TAG
from slipway.control import drift
from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from slipway.records import revisions

from .fakes import FakeClusterParts, FakePlanes

MOST_TICKS = 8
RELOAD = "Reload the code location"
QUIET = "Everything is as the catalog says."


@dataclass(frozen=True)
class Tick:
    """What one evaluation asked for, or why it asked for nothing."""

    selection: frozenset[str]
    checks: frozenset[str]
    reason: str
    run_tags: dict[str, str]


@dataclass
class World:
    """One catalog with its servers and clusters, and a code location that was loaded from it."""

    directory: Path
    instance: dg.DagsterInstance
    variables: dict[str, str]
    planes: FakePlanes = field(default_factory=FakePlanes)
    parts: FakeClusterParts = field(default_factory=FakeClusterParts)
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.load()

    @property
    def resources(self) -> dict[str, Any]:
        """Those of production on this world's servers; clusters apart."""
        return {**resources(self.variables), "cluster_parts": self.parts}

    @property
    def store(self) -> ObjectStore:
        return ObjectStore(Environment.load(self.variables).s3)

    def load(self) -> None:
        """Load the code location again, as its webserver does when the sensor asks for it."""
        self.definitions = self._built()

    def edit(self, old: str, new: str) -> None:
        """Change the catalog on disk."""
        catalog = self.directory / "catalog.yaml"
        text = catalog.read_text()
        assert old in text
        catalog.write_text(text.replace(old, new))

    def tick(self) -> Tick:
        """Evaluate the loaded sensor once, and remember its cursor."""
        with dg.build_sensor_context(
            instance=self.instance, resources=self.resources, cursor=self.cursor, sensor_name="catalog_drift"
        ) as context:
            result = self.definitions.resolve_sensor_def("catalog_drift")(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor
        if not result.run_requests:
            assert result.skip_reason is not None
            return Tick(frozenset(), frozenset(), str(result.skip_reason.skip_message), {})
        [request] = result.run_requests
        selection = frozenset(key.to_user_string() for key in request.asset_selection or ())
        checks = frozenset(key.to_user_string() for key in request.asset_check_keys or ())
        return Tick(selection, checks, request.tags[REASON_TAG], dict(request.tags))

    def execute(self, tick: Tick) -> dg.ExecuteInProcessResult:
        """Do what a tick asked for, through the deploy job of the catalog as it is on disk now."""
        job = self._built().resolve_job_def("deploy")
        part = job.get_subset(
            asset_selection={dg.AssetKey.from_user_string(key) for key in tick.selection},
            asset_check_selection={
                key
                for key in job.asset_layer.asset_graph.asset_check_keys
                if key.to_user_string() in tick.checks
            },
        )
        return part.execute_in_process(instance=self.instance, tags=tick.run_tags, raise_on_error=False)

    def until_quiet(self) -> list[Tick]:
        """Tick, execute and load again until nothing is asked for; returns the ticks that asked for runs."""
        asked: list[Tick] = []
        for _ in range(MOST_TICKS):
            tick = self.tick()
            if tick.reason.startswith("The catalog changed"):
                self.load()
            elif tick.selection:
                assert self.execute(tick).success
                asked.append(tick)
            else:
                assert tick.reason == QUIET
                return asked
        raise AssertionError(
            f"not quiet after {MOST_TICKS} ticks; asked for {[each.reason for each in asked]}"
        )

    def later(self, seconds: float) -> None:
        """As if so much time had passed since every attempt that the sensor remembers."""
        attempts = json.loads(self.cursor or "{}")
        for each in attempts.values():
            each["last"] = str(datetime.fromisoformat(each["last"]) - timedelta(seconds=seconds))
        self.cursor = json.dumps(attempts)

    def fail_as_often_as_allowed(self, most: int) -> list[Tick]:
        """Execute what is asked for, and let the time of each backoff pass."""
        asked: list[Tick] = []
        for attempt in range(1, most + 1):
            asked.append(self.tick())
            assert not self.execute(asked[-1]).success
            self.later(drift.BACKOFF_S * 2 ** (attempt - 1) + 1)
        return asked

    def run_under_way(self, subjects: list[str]) -> dg.DagsterRun:
        """A run of the deploy job that has not ended, for these subjects."""
        return self.instance.create_run_for_job(
            self.definitions.resolve_job_def("deploy"),
            status=dg.DagsterRunStatus.STARTED,
            tags={SUBJECTS_TAG: json.dumps(subjects)},
        )

    def withdraw(self, deployment: str, other_than: str) -> None:
        """Take back by hand what was rolled out last."""
        records = revisions.RevisionStore(self.store)
        [rolled_out] = [each for each in records.all(deployment) if each.spec_digest != other_than]
        records.put(revisions.withdrawn(rolled_out, datetime.now(UTC)))

    def _built(self) -> dg.Definitions:
        return build_definitions(self.directory, resources=self.resources, executor=dg.in_process_executor)

"""The sensor that writes down what runs: once per interval, and never a run."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from assets import keys
from pipelines.definitions import build_definitions
from resources.all import resources
from resources.dataplane import DataPlaneResource
from sensors.replica_samples import replica_samples
from slipway.records.replica_samples import INTERVAL_S, instant_of

REPOSITORY = Path(__file__).parents[2]


class FakeDataPlane(DataPlaneResource):
    """Counts how often it is sampled; there is nothing behind it."""

    _asked: list[datetime] = []

    def sample(self, now: datetime) -> str:
        self._asked.append(now)
        return f"sample-{len(self._asked)}"


def tick(given: dict[str, Any], cursor: str | None) -> dg.SensorResult:
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources=given, cursor=cursor) as context,
    ):
        result = replica_samples()(context)
    assert isinstance(result, dg.SensorResult)
    assert not result.run_requests
    return result


def test_an_instant_is_sampled_once_and_no_run_follows(tmp_path: Path) -> None:
    given = resources({"SLIPWAY_HOME": str(tmp_path)})
    plane = FakeDataPlane(environment=given["environment"], store=given["store"])
    given["data_plane"] = plane
    first = tick(given, None)
    assert str(first.skip_reason and first.skip_reason.skip_message) == "Wrote sample-1."
    now = instant_of(datetime.now(UTC)).isoformat()
    again = tick(given, now)
    if again.cursor == now:  # else the next interval has begun in between
        assert "is sampled" in str(again.skip_reason and again.skip_reason.skip_message)


def test_without_a_stack_the_tick_says_how_to_start_one(tmp_path: Path) -> None:
    result = tick(resources({"SLIPWAY_HOME": str(tmp_path)}), None)
    assert "slipway up" in str(result.skip_reason and result.skip_reason.skip_message)
    assert result.cursor is None


def test_no_interval_is_missed_by_one_late_tick() -> None:
    definitions = build_definitions(REPOSITORY / "catalog")
    sensor = definitions.resolve_sensor_def("replica_samples")
    assert sensor.minimum_interval_seconds is not None
    assert 2 * sensor.minimum_interval_seconds <= INTERVAL_S
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_the_hourly_job_sums_up_what_ran() -> None:
    job = build_definitions(REPOSITORY / "catalog").resolve_job_def("rollup")
    assert keys.REPLICAS in job.asset_layer.executable_asset_keys

"""The replica-samples sensor: it writes down what runs, once per interval, and asks for no run.

Belongs here: when to sample, and what a tick says. Does not: sampling (resources.dataplane), summing up.
"""

from datetime import UTC, datetime

import dagster as dg

from resources.dataplane import DataPlaneResource
from slipway.environment import MissingSettingError
from slipway.records.replica_samples import INTERVAL_S, instant_of


def replica_samples() -> dg.SensorDefinition:
    """Two ticks per interval, so that none is missed by a tick that is late; the cursor is the last one."""

    @dg.sensor(
        name="replica_samples",
        minimum_interval_seconds=INTERVAL_S // 2,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Writes down which replicas and GPUs run, for the cost of a request; starts no run.",
    )
    def sensor(context: dg.SensorEvaluationContext, data_plane: DataPlaneResource) -> dg.SensorResult:
        instant = instant_of(datetime.now(UTC)).isoformat()
        if context.cursor == instant:
            return dg.SensorResult(skip_reason=f"{instant} is sampled.", cursor=instant)
        try:
            key = data_plane.sample(datetime.now(UTC))
        except MissingSettingError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        return dg.SensorResult(skip_reason=f"Wrote {key}.", cursor=instant)

    return sensor

"""The alerts sensor: it looks at what is wrong, and tells those whom the catalog names, once of each.

Belongs here: the tick, and the memory in its cursor.
Does not: looking (trouble.py, slipway.control.alerting), who is told when (slipway.alerts).

The memory is the cursor, in Dagster's own database: alerts have to arrive when the object store is away.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg
from pydantic import TypeAdapter

from assets.partitions import FIRST
from resources.alerting import AlertingResource, Ledger, Observation, decode, encode, observed
from sensors import trouble
from slipway.alerts.alert import Alert
from slipway.catalog import Catalog
from slipway.catalog.alerts import AlertName, AlertReceiver

INTERVAL_S = 30
_RECEIVERS = TypeAdapter(tuple[AlertReceiver, ...])


def alerts(catalog: Catalog | None, drift_sensor: str) -> dg.SensorDefinition:
    """The sensor of a code location; while `catalog` is None, for its errors, who was told last is told."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the catalog's alert receivers what is wrong, once, and once more when it is over.",
    )
    def sensor(context: dg.SensorEvaluationContext, alerting: AlertingResource) -> dg.SensorResult:
        now = datetime.now(UTC)
        memory, receivers = _read(context.cursor)
        if catalog is not None:
            receivers = catalog.settings.receivers
        seen = joined(
            alerting.observe(catalog, now, FIRST)
            if catalog is not None
            else Observation(unknown=alerting.looks),
            _of_dagster(context, catalog, drift_sensor, now),
        )
        memory = observed(memory, seen, now)
        said: list[str] = []
        memory = alerting.tell(memory, receivers, now, said.append)
        for line in said:
            context.log.info(line)
        lasting = [each for each in memory.entries.values() if each.over_at is None]
        wrong = "; ".join(f"{each.alert.key}: {each.alert.summary}" for each in lasting[:_MOST_SAID])
        reason = f"{len(lasting)} wrong: {wrong}" if lasting else "Nothing is wrong."
        return dg.SensorResult(skip_reason=" ".join([reason, *said]), cursor=_written(memory, receivers))

    return sensor


_MOST_SAID = 20


def _of_dagster(
    context: dg.SensorEvaluationContext, catalog: Catalog | None, drift_sensor: str, now: datetime
) -> Observation:
    """All that Dagster shows; one look that fails hides no other."""
    instance, repository = context.instance, context.repository_def
    assert repository is not None, "a sensor of a code location"
    graph = repository.asset_graph
    owners = {key: next(iter(graph.get(key).owners), None) for key in graph.materializable_asset_keys}
    checks = graph.asset_check_keys | {trouble.catalog_check()}
    most = catalog.settings.drift_attempts if catalog is not None else None
    looks: dict[tuple[AlertName, ...], Callable[[], list[Alert]]] = {
        ("run_failed", "rollout_failed"): lambda: trouble.failed_runs(instance, owners, now),
        ("check_failed", "catalog_broken", "certificate_expires", "unpriced_usage"): (
            lambda: trouble.failing_checks(instance, checks, owners)
        ),
        ("sensor_failed",): lambda: trouble.failing_sensors(instance),
    }
    unknown: set[AlertName] = set()
    if most is None:
        unknown.add("repair_given_up")
    else:
        looks["repair_given_up",] = lambda: trouble.given_up(instance, drift_sensor, most)
    found = []
    for names, look in looks.items():
        try:
            found += look()
        except Exception as error:  # noqa: BLE001
            # Whatever it was: everything else is still to be looked at, and somebody has to hear of it.
            context.log.warning(f"looking for {', '.join(names)} failed: {error!r}")
            unknown.update(names)
            summary = f"cannot look for {', '.join(names)}: {type(error).__name__}; the tick's log has more"
            found.append(Alert("observation_failed", names[0], summary))
    return Observation(found, frozenset(unknown))


def joined(*seen: Observation) -> Observation:
    """Several looks as one."""
    return Observation(
        [alert for each in seen for alert in each.alerts], frozenset().union(*(each.unknown for each in seen))
    )


def _read(cursor: str | None) -> tuple[Ledger, tuple[AlertReceiver, ...]]:
    try:
        document = json.loads(cursor or "{}")
        return decode(document.get("memory")), _RECEIVERS.validate_python(document.get("receivers", ()))
    except (ValueError, AttributeError):  # pydantic's own error is a ValueError: a cursor of another version
        return Ledger(), ()


def _written(memory: Ledger, receivers: tuple[AlertReceiver, ...]) -> str:
    plain = [receiver.model_dump(mode="json", exclude_none=True) for receiver in receivers]
    return json.dumps({"memory": encode(memory), "receivers": plain})

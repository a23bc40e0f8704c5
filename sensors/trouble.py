"""What is wrong as Dagster shows it: runs and assets that failed, checks in red, sensors, repairs given up.

Belongs here: reading the instance, and making alerts of it. Does not: telling anybody (alerts.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from assets import keys
from slipway.alerts.alert import Alert
from slipway.catalog.alerts import AlertName

# How far back failed runs are looked at: what nobody has mended until then is red in the UI still.
_BACK = timedelta(days=7)
_MOST_RUNS = 100
_FAILED_IN_A_ROW = 3
_SETTLES = timedelta(minutes=2)  # a repair that was asked for last may be the one that succeeds
_CORRECT = "`slipway describe` says what was refused; correct the catalog"

# Checks with an alert of their own name.
_BY_CHECK: Mapping[str, AlertName] = {
    "has_no_errors": "catalog_broken",
    "certificate_ready": "certificate_expires",
    "unpriced": "unpriced_usage",
}
_ROLLOUTS = ("rollout", "endpoint")

Owners = Mapping[dg.AssetKey, str | None]


def failed_runs(instance: DagsterInstance, owners: Owners, now: datetime) -> list[Alert]:
    """Assets whose last attempt failed, and jobs whose last run failed before any asset did.

    An asset is over it when it has been materialized since, a job when a later run of it has succeeded.
    `owners` has all assets that there are: what is gone is no trouble.
    """
    found: dict[str, Alert] = {}
    finished = RunsFilter(
        statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS], updated_after=now - _BACK
    )
    succeeded: set[str] = set()
    for record in instance.get_run_records(finished, limit=_MOST_RUNS):  # the newest first
        run = record.dagster_run
        if run.status is DagsterRunStatus.SUCCESS:
            succeeded.add(run.job_name)
            continue
        failed = _failed_assets(instance, run.run_id)
        for key, at, why in failed:
            alert = _of_asset(key, why, owners.get(key))
            if key in owners and alert.key not in found and not _materialized_since(instance, key, at):
                found[alert.key] = alert
        alert = Alert("run_failed", f"job/{run.job_name}", _why_run_failed(instance, run.run_id))
        if not failed and run.job_name not in succeeded and alert.key not in found:
            found[alert.key] = alert
    return list(found.values())


def failing_checks(
    instance: DagsterInstance, checks: Iterable[dg.AssetCheckKey], owners: Owners
) -> list[Alert]:
    """Checks whose last evaluation failed, but for those that only warn and have no alert of their own."""
    storage = instance.event_log_storage
    latest = storage.get_latest_asset_check_execution_by_key(list(checks))
    found = []
    for key, record in latest.items():
        event = record.event.dagster_event if record.event is not None else None
        if record.status is not AssetCheckExecutionRecordStatus.FAILED or event is None:
            continue
        evaluation = event.asset_check_evaluation_data
        name = _BY_CHECK.get(key.name)
        if name is None and evaluation.severity is not dg.AssetCheckSeverity.ERROR:
            continue
        subject = f"{key.asset_key.to_user_string()}:{key.name}"
        summary = evaluation.description or "the check failed; its page in the UI has the evidence"
        found.append(Alert(name or "check_failed", subject, summary, owners.get(key.asset_key)))
    return found


def failing_sensors(instance: DagsterInstance) -> list[Alert]:
    """Sensors and schedules whose last ticks all failed."""
    found = []
    for state in instance.all_instigator_state():
        if not state.is_running:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=_FAILED_IN_A_ROW)
        if len(ticks) == _FAILED_IN_A_ROW and all(tick.status is TickStatus.FAILURE for tick in ticks):
            message = ticks[0].error.message if ticks[0].error is not None else "it says no reason"
            summary = f"its last {_FAILED_IN_A_ROW} ticks failed: {message}"
            found.append(Alert("sensor_failed", f"sensor/{state.instigator_name}", summary))
    return found


def given_up(instance: DagsterInstance, drift_sensor: str, most: int) -> list[Alert]:
    """What the drift sensor has tried as often as it may, by its own memory."""
    for state in instance.all_instigator_state():
        if state.instigator_name == drift_sensor and state.is_running:
            cursor = getattr(state.instigator_data, "cursor", None)
            return [
                Alert(
                    "repair_given_up",
                    subject,
                    f"{tried['count']} repairs failed, and no other is tried. {_CORRECT}",
                )
                for subject, tried in json.loads(cursor or "{}").items()
                if tried["count"] >= most and _is_old(tried["last"])
            ]
    return []


def _is_old(last: str) -> bool:
    """Whether the last repair has had the time to end: it may be the one that succeeds."""
    return datetime.now(UTC) - datetime.fromisoformat(last) > _SETTLES


def _of_asset(key: dg.AssetKey, why: str, owner: str | None) -> Alert:
    name: AlertName = "rollout_failed" if key.path[0] in _ROLLOUTS else "run_failed"
    return Alert(name, key.to_user_string(), why, owner)


def _materialized_since(instance: DagsterInstance, key: dg.AssetKey, at: float) -> bool:
    event = instance.get_latest_materialization_event(key)
    return event is not None and event.timestamp > at


Failed = tuple[dg.AssetKey, float, str]


def _failed_assets(instance: DagsterInstance, run_id: str) -> Sequence[Failed]:
    return _failed_once(_Identity(instance), run_id)


class _Identity:
    """An instance as a key of a cache: a run that has ended has the same events for ever."""

    def __init__(self, instance: DagsterInstance) -> None:
        self.instance = instance

    def __hash__(self) -> int:
        return hash(id(self.instance))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.instance is other.instance


@lru_cache(maxsize=4 * _MOST_RUNS)
def _failed_once(of: _Identity, run_id: str) -> Sequence[Failed]:
    """Asset, instant and reason of each step that failed."""
    planned: dict[str, list[dg.AssetKey]] = {}
    for event, _ in _events(of.instance, run_id, DagsterEventType.ASSET_MATERIALIZATION_PLANNED):
        if event.step_key is not None and event.asset_key is not None:
            planned.setdefault(event.step_key, []).append(event.asset_key)
    return [
        (key, at, _why_step_failed(event))
        for event, at in _events(of.instance, run_id, DagsterEventType.STEP_FAILURE)
        for key in planned.get(event.step_key or "", ())
    ]


def _why_step_failed(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message if error is not None else "its step failed; the run's log has more"


def _why_run_failed(instance: DagsterInstance, run_id: str) -> str:
    for event, _ in _events(instance, run_id, DagsterEventType.RUN_FAILURE):
        return f"run {run_id[:8]}: {event.message or 'failed'}"
    return f"run {run_id[:8]} failed"


def _events(
    instance: DagsterInstance, run_id: str, kind: DagsterEventType
) -> Iterator[tuple[dg.DagsterEvent, float]]:
    for record in instance.get_records_for_run(run_id, of_type=kind).records:
        if record.event_log_entry.dagster_event is not None:
            yield record.event_log_entry.dagster_event, record.event_log_entry.timestamp


def catalog_check() -> dg.AssetCheckKey:
    """The check of the catalog itself, which there is also while it has errors."""
    return dg.AssetCheckKey(keys.CATALOG, "has_no_errors")

"""The alerts sensor through Dagster: what goes wrong is told to a real receiver, once, and once when over."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._utils.error import SerializableErrorInfo

from sensors.alerts import alerts
from slipway.alerts import ledger
from slipway.catalog.files.loader import load
from slipway.records import usage

from .ticking import World

SETTINGS = """
---
kind: Settings
name: settings
spec:
  alert_receivers: [{name: ops, kind: webhook, webhook: {env: OPS_HOOK}}]
"""


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    taken: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", taken
    server.shutdown()
    server.server_close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """One that keeps the state of sensors, which one in memory does not."""
    with dg.DagsterInstance.local_temp() as instance:
        yield instance


class Watched:
    """A world and its receiver. What it was told is read as `+ name subject` and `- name subject`."""

    def __init__(self, world: World, url: str, taken: list[dict[str, Any]]) -> None:
        self.world, self.taken, self.cursor = world, taken, None
        world.variables["OPS_HOOK"] = url
        path = world.directory / "catalog.yaml"
        path.write_text(path.read_text() + SETTINGS)
        world.until_quiet()

    def tick(self, *, broken: bool = False) -> list[str]:
        """One evaluation by the daemon; `broken`: by a code location whose catalog had errors."""
        self.taken.clear()
        catalog = None if broken else load(self.world.directory).catalog
        with dg.build_sensor_context(
            instance=self.world.instance,
            resources=self.world.resources,
            cursor=self.cursor,
            definitions=self.world.definitions,
        ) as context:
            result = alerts(catalog, "catalog_drift")(context)
        assert isinstance(result, dg.SensorResult) and not result.run_requests
        self.cursor = result.cursor
        return [
            f"{sign} {each['name']} {each['subject']}"
            for body in self.taken
            for sign, each in [
                *(("+", each) for each in body["begun"]),
                *(("-", each) for each in body["over"]),
            ]
        ]

    def as_if_begun(self, ago: timedelta) -> None:
        """As if all that is remembered had begun so long ago."""
        cursor = json.loads(self.cursor or "")
        memory = json.loads(cursor["memory"])
        for entry in memory["entries"]:
            entry["since"] = str(datetime.fromisoformat(entry["since"]) - ago)
        self.cursor = json.dumps({**cursor, "memory": json.dumps(memory)})

    def later(self) -> None:
        """As if the time had passed after which what is not seen is over."""
        cursor = json.loads(self.cursor or "")
        memory = json.loads(cursor["memory"])
        for entry in memory["entries"]:
            entry["seen"] = str(
                datetime.fromisoformat(entry["seen"]) - ledger.OVER_AFTER - timedelta(seconds=1)
            )
        self.cursor = json.dumps({**cursor, "memory": json.dumps(memory)})


@pytest.fixture
def watched(world: World, hook: tuple[str, list[dict[str, Any]]]) -> Watched:
    return Watched(world, *hook)


def test_where_all_is_well_nobody_is_told_anything(watched: Watched) -> None:
    assert [watched.tick(), watched.tick()] == [[], []]


def test_a_refused_rollout_is_told_with_its_reason_and_is_over_when_one_succeeds(watched: Watched) -> None:
    world = watched.world
    world.edit("--ctx-size=2048", "--ctx-size=4096")
    world.planes.refuses_to_serve = True
    assert not world.execute(world.tick()).success
    assert watched.tick() == ["+ rollout_failed rollout/chat"]
    assert "the fake was told not to serve" in watched.taken[0]["begun"][0]["summary"]
    assert watched.tick() == []
    world.planes.refuses_to_serve = False
    world.edit("--ctx-size=4096", "--ctx-size=1024")
    world.until_quiet()
    assert watched.tick() == []  # a moment without it is not its end
    watched.later()
    assert [watched.tick(), watched.tick()] == [["- rollout_failed rollout/chat"], []]


def test_a_broken_catalog_is_told_by_who_was_named_before_and_is_over_when_it_is_mended(
    watched: Watched,
) -> None:
    world = watched.world
    watched.tick()
    world.edit("--ctx-size=2048", "--ctx-size=2048], nonsense: [1")
    world.tick()
    assert watched.tick(broken=True) == ["+ catalog_broken catalog:has_no_errors"]
    assert "nonsense" in watched.taken[0]["begun"][0]["summary"]
    world.edit("], nonsense: [1", "")
    world.tick()
    watched.later()
    assert watched.tick() == ["- catalog_broken catalog:has_no_errors"]


def test_a_run_that_ends_before_any_step_is_told_until_one_succeeds(watched: Watched) -> None:
    instance, job = watched.world.instance, watched.world.definitions.resolve_job_def("rollup")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(run, "the run's process was killed")
    assert watched.tick() == ["+ run_failed job/rollup"]
    later = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    instance.handle_new_event(succeeded(later))
    watched.later()
    assert watched.tick() == ["- run_failed job/rollup"]


def succeeded(run: dg.DagsterRun) -> dg.EventLogEntry:
    event = dg.DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=run.job_name)
    return dg.EventLogEntry(
        error_info=None, level=20, user_message="", run_id=run.run_id,
        timestamp=datetime.now(UTC).timestamp(), dagster_event=event, job_name=run.job_name,
    )  # fmt: skip


def test_hours_that_nobody_rolls_up_are_one_alert(watched: Watched) -> None:
    hour = usage.hour_of(datetime.now(UTC)) - timedelta(hours=30)
    watched.world.store.put(usage.object_key(hour, "gateway-0", "1"), b"")
    assert watched.tick() == ["+ rollup_stale metering/usage_hourly"]
    assert "hours are not rolled up" in watched.taken[0]["begun"][0]["summary"]


def test_a_store_that_is_away_ends_no_alert_and_begins_none_at_once(watched: Watched) -> None:
    hour = usage.hour_of(datetime.now(UTC)) - timedelta(hours=30)
    watched.world.store.put(usage.object_key(hour, "gateway-0", "1"), b"")
    watched.tick()
    watched.world.variables["SLIPWAY_S3_ENDPOINT"] = "http://127.0.0.1:1"
    watched.later()
    assert watched.tick() == []


def test_a_deployment_without_a_price_in_force_is_told(watched: Watched) -> None:
    watched.world.edit("effective_from: 2026-01-01T00:00:00Z", "effective_from: 2126-01-01T00:00:00Z")
    assert "+ no_price_in_force deployment/chat" in watched.tick()


def test_a_repair_that_was_given_up_is_told(watched: Watched) -> None:
    """By the memory of the drift sensor, as the daemon keeps it."""
    last = datetime.now(UTC) - timedelta(hours=1)
    tried = {"chat": {"digest": "d", "count": 3, "last": str(last)}}
    watched.world.instance.add_instigator_state(running(json.dumps(tried)))
    assert watched.tick() == ["+ repair_given_up chat"]


def test_a_sensor_whose_ticks_fail_one_after_the_other_is_told_when_it_goes_on(watched: Watched) -> None:
    instance, state = watched.world.instance, running("{}")
    instance.add_instigator_state(state)
    for number in range(3):
        assert watched.tick() == []
        instance.create_tick(failed_tick(state, number))
    assert watched.tick() == []  # it may pass by itself
    watched.as_if_begun(timedelta(minutes=5))
    assert watched.tick() == ["+ sensor_failed sensor/catalog_drift"]
    assert "a lock file" in watched.taken[0]["begun"][0]["summary"]


def running(cursor: str) -> InstigatorState:
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("slipway"), "__repository__")
    origin = RemoteInstigatorOrigin(repository, "catalog_drift")
    data = SensorInstigatorData(cursor=cursor)
    return InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)


def failed_tick(state: InstigatorState, number: int) -> TickData:
    return TickData(
        instigator_origin_id=state.instigator_origin_id,
        instigator_name=state.instigator_name,
        instigator_type=InstigatorType.SENSOR,
        status=TickStatus.FAILURE,
        timestamp=datetime.now(UTC).timestamp() + number,
        selector_id=state.selector_id,
        error=SerializableErrorInfo("OSError: a lock file", [], "OSError"),
    )

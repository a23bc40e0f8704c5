"""The embedded stack as it is, with definitions of one job: started, killed, started again, stopped."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slipway.environment import Environment
from slipway.graphql import ask as graphql
from slipway.objectstore import ObjectStore
from slipway.stack import supervisor
from slipway.stack.embedded import embedded
from slipway.stack.layout import Layout
from slipway.stack.processes import look, owned

ROOT = Path(__file__).parents[3]
SERVICES = {"s3", "hub", "ray", "gateway", "dagster"}
DEFINITIONS = """
import time
import dagster as dg

@dg.op
def sleep():
    time.sleep(600)

@dg.job
def long():
    sleep()

defs = dg.Definitions(jobs=[long])
"""
WORKSPACE = """
load_from:
  - python_module: {module_name: one_long_job, working_directory: .}
"""
LAUNCH = """
mutation { launchRun(executionParams: {selector: {
  repositoryLocationName: "one_long_job", repositoryName: "__repository__", jobName: "long"}})
  { __typename ... on LaunchRunSuccess { run { runId } } } }
"""
RUN = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def a_checkout(directory: Path) -> Path:
    """What the stack reads of a checkout, with definitions that ask for no catalog."""
    directory.mkdir()
    shutil.copy(ROOT / "dagster.yaml", directory)
    (directory / "workspace.yaml").write_text(WORKSPACE)
    (directory / "one_long_job.py").write_text(DEFINITIONS)
    return directory


def run_status(url: str, run_id: str) -> str:
    return str(graphql(url, RUN, {"id": run_id})["runOrError"]["status"])


def wait_for(question: Callable[[], Any], answer: Any, patience_s: float = 180) -> None:
    deadline = time.monotonic() + patience_s
    while (said := question()) != answer:
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def test_the_whole_stack_survives_kills_of_its_parts_and_leaves_nothing(
    tmp_path: Path, make_stack: Callable[..., Any]
) -> None:
    stack = make_stack(embedded(ROOT / "catalog", a_checkout(tmp_path / "checkout")))
    state = stack.up()
    assert stack.states() == dict.fromkeys(SERVICES, "ready")
    assert (stack.home / "stack.env").stat().st_mode & 0o777 == 0o600

    environment = Environment.load({"SLIPWAY_HOME": str(stack.home)})
    store = ObjectStore(environment.s3)
    store.put("kept", b"through a kill -9")
    used = sum(
        each.memory.resident_bytes for each in supervisor.status(stack.home, blueprint=stack.blueprint)
    )
    assert used < 5 * 2**30

    run_id = graphql(state.ui_url, LAUNCH)["launchRun"]["run"]["runId"]
    wait_for(lambda: run_status(state.ui_url, run_id), "STARTED")
    found = owned(look(Layout.of(stack.home).home), {})
    killed = [each for each in found["dagster"] if each.pid != stack.leader("dagster")]
    killed += [each for each in found["ray"] if "/raylet " in each.command]
    killed += found["s3"] + found["gateway"]
    hub = stack.pids()["hub"]
    stack.kill(*(each.pid for each in killed))

    again = stack.up()
    assert stack.states() == dict.fromkeys(SERVICES, "ready")
    assert again.ports == state.ports
    assert stack.pids()["hub"] == hub, "what was not touched was left alone"
    assert store.get("kept") == b"through a kill -9"
    assert run_status(again.ui_url, run_id) == "CANCELED", (
        "a run whose process was killed does not run for ever"
    )

    everything = [pid for pids in stack.pids().values() for pid in pids]
    stack.down()
    assert not any(stack.alive(pid) for pid in everything)
    assert stack.pids() == {}
    assert stack.open_ports() == []
    assert not Layout.of(stack.home).ray_dir.exists()

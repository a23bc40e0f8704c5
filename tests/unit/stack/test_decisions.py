import re
from pathlib import Path

import pytest

from slipway.stack.decisions import Action, decide, disk_refusal, main_process, port_refusal
from slipway.stack.processes import Seen
from slipway.stack.service import Part, Service
from slipway.stack.state import Leader

SERVICE = Service(
    name="dagster",
    command=("dagster", "dev"),
    directory=Path("/"),
    environment={},
    ports={"dagster": 1},
    parts=(Part("daemon", re.compile("_daemon")), Part("code server", re.compile("code-server"), heals=True)),
    start_deadline_s=60,
    patience_s=10,
)
DIGEST = SERVICE.settings_digest
MAIN = Seen(10, 1, 10, 100.0, "dagster dev", "dagster", DIGEST)
DAEMON = Seen(11, 10, 10, 101.0, "python -m dagster._daemon", "dagster", DIGEST)
CODE = Seen(12, 10, 10, 101.0, "dagster code-server start", "dagster", DIGEST)
ALL = (MAIN, DAEMON, CODE)
OTHER = Seen(10, 1, 10, 100.0, "dagster dev", "dagster", "other settings")
READY, STARTING = Leader(10, 100.0, ready=True), Leader(10, 100.0)
BUSY = "does not answer"

TABLE = {
    "nothing runs": ((), None, None, 0, 0, Action.START, "not running"),
    "nothing runs, one recorded": ((), READY, BUSY, 0, 0, Action.START, "not running"),
    "all is well": (ALL, READY, None, 999, 0, Action.KEEP, "ready"),
    "all is well, nothing recorded": (ALL, None, None, 999, 0, Action.KEEP, "ready"),
    "main process killed": (
        (DAEMON, CODE),
        READY,
        None,
        0,
        0,
        Action.RESTART,
        "main process is gone, 2 others",
    ),
    "main process killed, nothing recorded": (
        (DAEMON,),
        None,
        None,
        0,
        0,
        Action.RESTART,
        "is gone, 1 others",
    ),
    "another recorded, this one leads": (
        ALL,
        Leader(10, 55.0, ready=True),
        None,
        999,
        0,
        Action.KEEP,
        "ready",
    ),
    "other settings": ((OTHER, DAEMON, CODE), READY, None, 999, 0, Action.RESTART, "other settings"),
    "daemon killed": ((MAIN, CODE), READY, None, 999, 0, Action.RESTART, "its daemon is gone"),
    "daemon killed, young but was ready": (
        (MAIN, CODE),
        READY,
        None,
        5,
        0,
        Action.RESTART,
        "its daemon is gone",
    ),
    "daemon not there yet": ((MAIN, CODE), STARTING, BUSY, 5, 0, Action.WAIT, "daemon is not there yet"),
    "daemon never came": ((MAIN, CODE), STARTING, BUSY, 61, 0, Action.RESTART, "its daemon is gone"),
    "code server killed": ((MAIN, DAEMON), READY, None, 999, 3, Action.WAIT, "code server is not there"),
    "code server not replaced": (
        (MAIN, DAEMON),
        READY,
        None,
        999,
        11,
        Action.RESTART,
        "code server is not there",
    ),
    "busy": (ALL, READY, BUSY, 999, 3, Action.WAIT, BUSY),
    "hanging": (ALL, READY, BUSY, 999, 11, Action.RESTART, BUSY),
    "still starting, up interrupted": (ALL, STARTING, BUSY, 30, 11, Action.WAIT, BUSY),
    "starting for too long": (ALL, STARTING, BUSY, 61, 11, Action.RESTART, BUSY),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_is_done_about_a_service_and_why(case: str) -> None:
    processes, leader, trouble, age_s, waited_s, action, reason = TABLE[case]
    decision = decide(SERVICE, processes, leader, trouble, age_s=age_s, waited_s=waited_s)
    assert decision.action is action
    assert reason in decision.reason


def test_without_a_record_the_main_process_is_the_oldest_that_leads_a_session() -> None:
    worker = Seen(20, 10, 20, 150.0, "a worker that made a session of its own", "dagster", DIGEST)
    assert main_process([worker, DAEMON, MAIN], None) == MAIN


def test_settings_are_command_directory_environment_and_files() -> None:
    def digest(**changes: object) -> str:
        base = {
            "name": "x",
            "command": ("a",),
            "directory": Path("/"),
            "environment": {"A": "1"},
            "ports": {},
        }
        return Service(**{**base, **changes}).settings_digest  # type: ignore[arg-type]

    changed = [
        {"command": ("b",)},
        {"directory": Path("/tmp")},
        {"environment": {"A": "2"}},
        {"settings": "file"},
    ]
    assert len({digest(), *(digest(**each) for each in changed)}) == 1 + len(changed)
    assert digest() == digest()


def test_too_little_room_is_said_with_place_and_amounts() -> None:
    assert disk_refusal("/data", 2**30, 2**30) is None
    refusal = disk_refusal("/data", 3 * 2**28, 2**31)
    assert refusal is not None
    assert "/data has 0.75 GiB free" in refusal
    assert "needs 2.00 GiB" in refusal
    assert "SLIPWAY_HOME" in refusal


def test_a_taken_port_is_said_with_service_holder_and_remedy() -> None:
    refusal = port_refusal("gateway", "gateway", 8080, "nginx (pid 7)", "/home/stack.json")
    assert refusal.startswith("gateway: port 8080 (gateway) is taken by nginx (pid 7).")
    assert "/home/stack.json" in refusal

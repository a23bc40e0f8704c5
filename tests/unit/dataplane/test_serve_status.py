"""Each trap is a row: a status document as Ray 2.60 gave it, changed in one way that has fooled people."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from slipway.runtimes.ray.serve_status import UNHEALTHY_GRACE_S, cause, failed_replica, said, verdict

RECORDED = json.loads((Path(__file__).parent / "recorded" / "serving.json").read_text())
NAME = next(iter(RECORDED["applications"]))
WANTED = RECORDED["applications"][NAME]["deployed_app_config"]
DIGEST = WANTED["args"]["spec_digest"]
REPLICA = RECORDED["applications"][NAME]["deployments"]["llamacpp"]["replicas"][0]["replica_id"]
REPORTED = {REPLICA: DIGEST}


def changed(**fields: Any) -> dict[str, Any]:
    """The recorded document with fields of the application replaced."""
    document = copy.deepcopy(RECORDED)
    document["applications"][NAME].update(fields)
    return document


def deployment(**fields: Any) -> dict[str, Any]:
    """The recorded document with fields of its one deployment replaced."""
    document = copy.deepcopy(RECORDED)
    document["applications"][NAME]["deployments"]["llamacpp"].update(fields)
    return document


def replica(replica_id: str, state: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    return {"replica_id": replica_id, "state": state, **fields}


def test_what_every_running_replica_confirms_is_serving() -> None:
    found = verdict(RECORDED, WANTED, REPORTED)
    assert (found.state, found.replicas_ready, found.replicas_wanted) == ("serving", 1, 1)


@pytest.mark.parametrize("status", ["UPSCALING", "DOWNSCALING"])
def test_scaling_is_normal_while_serving(status: str) -> None:
    assert verdict(deployment(status=status), WANTED, REPORTED).state == "serving"


OTHER_ARGS = {**WANTED, "args": {**WANTED["args"], "spec_digest": "0" * 64}}

TRAPS = {
    "the configuration of someone else under our name": (changed(deployed_app_config=OTHER_ARGS), "lost"),
    "the application is being deleted": (changed(status="DELETING", deployed_app_config=None), "lost"),
    "no application at all": ({**RECORDED, "applications": {}}, "lost"),
    "Serve does not run": ({"applications": {}, "proxies": {}}, "lost"),
    "an empty map of deployments": (changed(deployments={}), "waiting"),
    "a map of deployments that is not there": (changed(deployments=None), "waiting"),
    "RUNNING with a deployment that is not healthy": (deployment(status="UPDATING"), "waiting"),
    "deploying": (changed(status="DEPLOYING"), "waiting"),
    "an old replica that still runs beside the new one": (
        deployment(replicas=[replica(REPLICA), replica("older")]),
        "unconfirmed",
    ),
    "unhealthy for a moment": (changed(status="UNHEALTHY"), "waiting"),
    "Serve gave up": (changed(status="DEPLOY_FAILED"), "failed"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_document_that_only_looks_like_serving_is_seen_through(trap: str) -> None:
    document, state = TRAPS[trap]
    assert verdict(document, WANTED, REPORTED).state == state


def test_running_and_healthy_is_not_believed_before_a_replica_reports_the_digest() -> None:
    assert verdict(RECORDED, WANTED, {}).state == "unconfirmed"
    assert verdict(RECORDED, WANTED, {REPLICA: "0" * 64}).state == "unconfirmed"


def test_with_no_replica_running_the_digest_must_still_have_been_reported_once() -> None:
    scaled_to_zero = deployment(replicas=[], target_num_replicas=0)
    assert verdict(scaled_to_zero, WANTED, {}).state == "unconfirmed"
    assert verdict(scaled_to_zero, WANTED, {"gone-by-now": DIGEST}).state == "serving"


def test_unhealthy_beyond_the_grace_has_failed() -> None:
    unhealthy = changed(status="UNHEALTHY")
    assert verdict(unhealthy, WANTED, REPORTED, UNHEALTHY_GRACE_S - 1).state == "waiting"
    assert verdict(unhealthy, WANTED, REPORTED, UNHEALTHY_GRACE_S).state == "failed"


def test_an_engine_that_can_never_start_is_not_waited_for_while_serve_retries() -> None:
    said = "Traceback:\nslipway.engines.errors.EngineRefusedError: engine argument --x: unknown."
    document = deployment(message=said)
    document["applications"][NAME]["status"] = "DEPLOYING"
    found = verdict(document, WANTED, {})
    assert found.state == "failed"
    assert "EngineRefusedError: engine argument --x: unknown." in found.message


def test_what_was_said_of_the_configuration_before_does_not_end_the_new_one() -> None:
    old = "slipway.engines.errors.EngineRefusedError: engine argument --x: unknown."
    document = deployment(message=old)
    document["applications"][NAME]["status"] = "DEPLOYING"
    old_word = said(document["applications"][NAME])
    assert verdict(document, WANTED, {}, old_word=old_word).state == "waiting"
    document["applications"][NAME]["deployments"]["llamacpp"]["message"] = old + " Tried 2 times."
    assert verdict(document, WANTED, {}, old_word=old_word).state == "failed"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", ""),
        ("The deployment waits for resources.\nmore", "The deployment waits for resources."),
        (
            "Deploying app failed:\nTraceback (most recent call last):\n  File x\n"
            "ValueError: first\n\nray.exceptions.RayTaskError(OSError): x\nOSError: [Errno 2] no",
            "OSError: [Errno 2] no",
        ),
        (
            "\x1b[36mray::worker\x1b[39m\nslipway.engines.errors.EngineRefusedError: a b",
            "EngineRefusedError: a b",
        ),
    ],
)
def test_the_cause_is_the_last_exception_of_a_traceback(said: str, line: str) -> None:
    assert cause(said) == line


def test_the_log_is_read_from_the_replica_that_failed_last() -> None:
    application = deployment(
        replicas=[
            replica(REPLICA, actor_id="runs", start_time_s=9),
            replica("new", "STARTING", start_time_s=10),
        ],
        recent_dead_replicas=[
            replica("d1", "STOPPED", actor_id="first", start_time_s=7),
            replica("d2", "STOPPED", actor_id="second", start_time_s=8),
        ],
    )["applications"][NAME]
    assert (failed_replica(application) or {})["actor_id"] == "second"
    assert failed_replica(RECORDED["applications"][NAME]) is None

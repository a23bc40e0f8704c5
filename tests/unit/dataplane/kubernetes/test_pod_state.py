"""Why a pod does not serve, and when waiting longer is no use."""

from typing import Any

import pytest

from slipway.runtimes.judging import deployments, pod_state

from .observed import NOW, OLD, crashed, deployment, pod, seen, waiting_for, wanted

PLAIN = wanted("apps/v1", "Deployment")

BACK_OFF = "Back-off pulling image: ErrImagePull: rpc error: code = NotFound desc = x/y:9: not found"
DENIED = "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized"

FINAL = {
    "an image that is not there": (waiting_for("ImagePullBackOff", BACK_OFF), "not found"),
    "a wrong pull secret": (waiting_for("ErrImagePull", DENIED), "401 Unauthorized"),
    "a name that is no image": (waiting_for("InvalidImageName", "couldn't parse"), "couldn't parse"),
    "a secret that is not there": (
        waiting_for("CreateContainerConfigError", 'secret "s" not found'),
        'secret "s"',
    ),
    "a crash loop": (crashed(3), "exit code 1"),
    "memory that does not suffice": (crashed(2, oom=True), "OOMKilled"),
}
PASSING = {
    "a registry that is away": waiting_for("ImagePullBackOff", "dial tcp: i/o timeout"),
    "a first crash": crashed(1),
}


@pytest.mark.parametrize("name", FINAL)
def test_a_cause_that_waiting_does_not_change_fails_at_once(name: str) -> None:
    container, cause = FINAL[name]
    found = deployments.verdict(
        PLAIN, seen(deployment(replicas=1, available=0), pod(0, ready=False, container=container))
    )
    assert (found.state, found.pod) == ("failed", "chat-aaaaaaaa-0")
    assert cause in found.message


@pytest.mark.parametrize("name", PASSING)
def test_a_cause_that_may_pass_is_waited_for_and_told(name: str) -> None:
    found = deployments.verdict(
        PLAIN, seen(deployment(replicas=1, available=0), pod(0, ready=False, container=PASSING[name]))
    )
    assert found.state == "waiting"
    assert "container main of chat-aaaaaaaa-0" in found.message


def test_a_secret_that_comes_a_moment_later_is_waited_for() -> None:
    young = pod(0, ready=False, age_s=5, container=FINAL["a secret that is not there"][0])
    found = pod_state.trouble([young], NOW)
    assert found is not None
    assert not found.is_final


def test_what_no_node_can_take_is_waited_for_and_told() -> None:
    said = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    found = deployments.verdict(
        PLAIN, seen(deployment(replicas=1, available=0), pod(0, ready=False, unscheduled=said))
    )
    assert found.state == "waiting"
    assert said in found.message


def test_the_old_revisions_crash_is_not_ours() -> None:
    broken = pod(0, OLD, ready=False, container=crashed(9))
    assert deployments.verdict(PLAIN, seen(deployment(updated=0), broken)).state == "waiting"


@pytest.mark.parametrize(
    ("condition", "cause"),
    [
        (
            {"Progressing": ("False", "ProgressDeadlineExceeded", "ReplicaSet has timed out progressing.")},
            "timed out progressing",
        ),
        (
            {"ReplicaFailure": ("True", "FailedCreate", "exceeded quota: q, requested: cpu=4")},
            "exceeded quota",
        ),
    ],
)
def test_what_the_controller_gave_up_fails_with_its_word(condition: dict[str, Any], cause: str) -> None:
    found = deployments.verdict(PLAIN, seen(deployment(updated=0, available=0, **condition)))
    assert found.state == "failed"
    assert cause in found.message


@pytest.mark.parametrize("reason", ["Unknown", "ContainerStatusUnknown"])
def test_a_container_that_its_node_lost_is_not_told_as_the_engines_fault_and_is_waited_for(
    reason: str,
) -> None:
    """What a kubelet says after the node, or containerd there, was restarted."""
    lost = {"terminated": {"exitCode": 255, "reason": reason}}
    status = {"ready": False, "restartCount": 9, "state": {"running": {}}, "lastState": lost}
    found = pod_state.trouble([pod(0, ready=False, container=status)], NOW)
    assert found is not None and not found.is_final
    assert "was lost: its node, or the container runtime there, was restarted" in found.message


@pytest.mark.parametrize(
    ("restarts", "state", "said"),
    [
        (1, {"running": {}}, "ended once"),
        (2, {"running": {}}, "ended 2 times"),
        (1, {"waiting": {}}, "ended 2 times"),
    ],
)
def test_runs_that_ended_are_counted_and_not_the_one_that_goes_on(
    restarts: int, state: dict[str, Any], said: str
) -> None:
    status = {**crashed(restarts), "state": state}
    found = pod_state.trouble([pod(0, ready=False, container=status)], NOW)
    assert found is not None and said in found.message


@pytest.mark.parametrize(("named", "state"), [("chat-old", "waiting"), ("chat-new", "failed")])
def test_a_deadline_that_passed_for_the_spec_before_is_no_failure_of_this_one(named: str, state: str) -> None:
    """As the controller's status is for a moment after the last good spec was applied again."""
    late = ("False", "ProgressDeadlineExceeded", f'ReplicaSet "{named}" has timed out progressing.')
    old, new = pod(0, OLD, ready=False, container=crashed(2)), pod(1, ready=False)
    old["metadata"]["name"], new["metadata"]["name"] = "chat-old-x7k2p", "chat-new-b9d4q"
    found = deployments.verdict(PLAIN, seen(deployment(available=0, Progressing=late), old, new))
    assert found.state == state

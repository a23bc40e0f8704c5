"""A node that is lost is told as that, as soon as it can be known, whatever its pods said last."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.client import KubernetesApi, Listed
from slipway.dataplane.kubernetes.serving import nodes
from slipway.dataplane.kubernetes.serving.remedies import remedy
from slipway.dataplane.kubernetes.serving.waiting import with_lost_node
from slipway.runtimes.judging.verdict import Verdict

from .observed import conditions, pod

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
UNKNOWN = ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
CRASHED = "container engine of chat-aaaaaaaa-0 ended 2 times, last with exit code 255"


def on(node: str, *, ready: bool = False) -> dict[str, Any]:
    made = pod(0, ready=ready)
    made["spec"]["nodeName"] = node
    return made


def lease(node: str, ago_s: float) -> dict[str, Any]:
    renewed = (NOW - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"metadata": {"name": node}, "spec": {"renewTime": renewed, "leaseDurationSeconds": 40}}


class FakeApi:
    """Nodes and leases; what is None may not be read."""

    def __init__(self, node: dict[str, Any] | None, leases: list[dict[str, Any]] | None) -> None:
        self.node, self.leases = node, leases

    def get(self, *_: object) -> dict[str, Any] | None:
        if self.node is None:
            raise DataPlaneError("forbidden")
        return self.node or None

    def list(self, *_: object, **__: object) -> Listed:
        if self.leases is None:
            raise DataPlaneError("forbidden")
        return Listed(tuple(self.leases), "1")


def silent(node: dict[str, Any] | None, *leases: dict[str, Any]) -> str:
    api = cast(KubernetesApi, FakeApi(node, list(leases) or None))
    return nodes.silent(api, [on("n1")], NOW).get("chat-aaaaaaaa-0", "")


READY = {"status": {"conditions": conditions(Ready=True)}}
LOST = {"status": {"conditions": conditions(Ready=UNKNOWN)}}


def test_a_node_that_turned_says_why() -> None:
    assert silent(LOST, lease("n1", 60), lease("n2", 1)) == (
        "chat-aaaaaaaa-0 is on node n1, which does not answer any more: "
        "NodeStatusUnknown: Kubelet stopped posting node status."
    )


def test_before_its_conditions_turn_its_lease_tells() -> None:
    assert silent(READY, lease("n1", 31), lease("n2", 1)) == (
        "chat-aaaaaaaa-0 is on node n1, which does not answer any more: "
        "it was last heard of 30 s ago, and says so every 10 s otherwise"
    )


def test_a_node_that_is_gone_was_removed() -> None:
    assert silent({}, lease("n2", 1)).endswith("it was removed from the cluster")


@pytest.mark.parametrize("age_s", [0, 5, 11])
def test_one_that_renews_its_lease_is_not_lost(age_s: float) -> None:
    assert silent(READY, lease("n1", age_s), lease("n2", 0)) == ""


def test_this_machine_s_clock_does_not_matter_where_there_is_another_node() -> None:
    """Both were heard of an hour ago by this clock, which goes wrong."""
    assert silent(READY, lease("n1", 3600), lease("n2", 3595)) == ""
    assert silent(READY, lease("n1", -3570), lease("n2", -3600)).endswith(
        "30 s ago, and says so every 10 s otherwise"
    )


def test_the_only_node_is_measured_against_this_clock() -> None:
    assert "40 s ago" in silent(READY, lease("n1", 40))
    assert silent(READY, lease("n1", 4)) == ""


def test_without_the_right_to_read_them_nothing_is_claimed() -> None:
    assert silent(None) == ""
    assert "30 s ago" in silent(None, lease("n1", 30), lease("n2", 0)), "leases alone are enough"
    assert silent(READY) == ""
    assert "NodeStatusUnknown" in silent(LOST), "conditions alone are enough"


def test_pods_that_are_ready_or_nowhere_are_not_asked_about() -> None:
    api = cast(KubernetesApi, FakeApi(LOST, []))
    assert nodes.silent(api, [on("n1", ready=True), pod(1, ready=False)], NOW) == {}


def test_a_crash_that_was_seen_on_a_lost_node_is_not_told_as_the_engine_s_fault() -> None:
    sentence = "chat-aaaaaaaa-0 is on node n1, which does not answer any more: it was last heard of 30 s ago"
    cause = with_lost_node(Verdict("failed", CRASHED, pod="chat-aaaaaaaa-0"), {"chat-aaaaaaaa-0": sentence})
    assert cause == f"{sentence}. What happens there is not known; what was seen before: {CRASHED}"
    assert "Bring the node back" in remedy(cause)


def test_a_crash_on_a_node_that_answers_is_the_engine_s_though_another_pod_s_node_is_lost() -> None:
    cause = with_lost_node(Verdict("waiting", CRASHED, pod="chat-aaaaaaaa-0"), {"chat-aaaaaaaa-1": "lost"})
    assert cause == CRASHED
    assert "correct args, env or the image" in remedy(cause, ["chat-aaaaaaaa-1 does not answer any more"])


def test_a_verdict_of_no_pod_names_the_lost_node() -> None:
    late = Verdict("waiting", "not within 5 s: 0 of 1 replicas are available")
    assert with_lost_node(late, {"a": "a is on node n, which does not answer any more: x"}).startswith(
        "a is on"
    )
    assert with_lost_node(late, {}) == late.message

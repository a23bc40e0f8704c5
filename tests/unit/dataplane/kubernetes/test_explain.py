"""What a failure's message carries beyond the cause."""

from typing import cast

import pytest

from slipway.dataplane.kubernetes.api.client import KubernetesApi, Listed
from slipway.dataplane.kubernetes.objects.diff import APPLIED
from slipway.dataplane.kubernetes.serving import explain, parking
from slipway.runtimes.judging.objects import annotations_of

from .observed import crashed, pod
from .test_diff import stored


def test_an_unscheduled_pod_says_what_it_asks_for_and_how_many_nodes_lack_it() -> None:
    found = pod(0, ready=False, unscheduled="0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")
    found["spec"]["containers"][0]["resources"] = {
        "limits": {"nvidia.com/gpu": "4"},
        "requests": {"cpu": "2"},
    }
    assert explain.unscheduled(found) == [
        "chat-aaaaaaaa-0 asks for cpu=2, nvidia.com/gpu=4: "
        "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    ]


def test_a_crash_loops_output_is_that_of_the_run_before() -> None:
    waits = pod(0, ready=False, container=crashed(3))
    assert explain.crashed([pod(1), waits]) == explain.Output("chat-aaaaaaaa-0", "main", previous=True)


def test_output_of_a_container_that_was_just_removed_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class FakeApi:
        """Answers as a kubelet does between two restarts; lists nothing."""

        said = ["unable to retrieve container logs for containerd://0123", "out of luck"]

        def log(self, *_: object, **__: object) -> tuple[str, ...]:
            return (self.said.pop(0),)

        def list(self, *_: object, **__: object) -> Listed:
            return Listed((), "1")

    monkeypatch.setattr(explain, "_LOG_PAUSE_S", 0)
    api = cast(KubernetesApi, FakeApi())
    told = explain.explanation(api, "ns", "chat-aaaaaaaa", [pod(0, ready=False, container=crashed(3))])
    assert told == ("last lines of chat-aaaaaaaa-0/main:", "out of luck")


def test_a_pod_that_runs_and_never_gets_ready_shows_its_output() -> None:
    assert explain.crashed([pod(0, ready=False)]) == explain.Output("chat-aaaaaaaa-0", "main", previous=False)


def test_warnings_are_of_this_application_each_said_once_the_newest_last() -> None:
    def event(name: str, message: str, at: str, count: int = 1) -> dict[str, object]:
        about = {"kind": "Pod", "name": name}
        return {
            "involvedObject": about,
            "reason": "Failed",
            "message": message,
            "lastTimestamp": at,
            "count": count,
        }

    found = [
        event("chat-1", "b", "2026-11-21T12:00:02Z", 3),
        event("chat-1", "a", "2026-11-21T12:00:01Z"),
        event("other-1", "c", "2026-11-21T12:00:03Z"),
    ]
    assert explain.warnings(found, "chat") == ["Pod chat-1: Failed: a", "Pod chat-1: Failed: b (3 times)"]


def test_a_parked_deployment_is_what_was_applied_at_zero() -> None:
    live = stored()
    found = parking.parked(live)
    assert found is not None
    assert found["spec"]["replicas"] == 0
    assert parking.is_parked(found)
    assert APPLIED not in annotations_of(found)
    assert found["spec"]["template"]["spec"]["tolerations"] == [{"key": "gpu", "operator": "Exists"}]


def test_warnings_that_differ_in_names_alone_are_said_once() -> None:
    refused = [
        {
            "involvedObject": {"kind": "ReplicaSet", "name": "chat-aaaaaaaa-5d"},
            "reason": "FailedCreate",
            "message": f'pods "chat-aaaaaaaa-5d-{number}" is forbidden: exceeded quota: q',
            "lastTimestamp": f"2026-11-21T12:00:0{number}Z",
        }
        for number in range(3)
    ]
    (only,) = explain.warnings(refused, "chat-aaaaaaaa")
    assert "chat-aaaaaaaa-5d-2" in only

"""What a person is told to do about a revision that does not serve; causes are a real cluster's words."""

import pytest

from slipway.dataplane.kubernetes.serving.remedies import remedy

PULL = "container engine of chat-a-0: ErrImagePull: failed to resolve reference: "
CASES = {
    "a name that is none": ("container engine of chat-a-0: InvalidImageName: no such", "image reference"),
    "a registry that lets nobody in": (PULL + "401 Unauthorized", "pull_secrets"),
    "an image that is not there": (PULL + "registry.example/engine:1: not found", "has no such image"),
    "a registry out of reach": (PULL + "dial tcp: lookup registry.example: no such host", "reaches the reg"),
    "a registry that is not trusted": (
        PULL + "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "its CA",
    ),
    "too little memory": ("ended 3 times, last with OOMKilled: more than its limit", "limits.memory"),
    "a crash": (
        "container engine of chat-a-0 ended 4 times, last with exit code 3",
        "args, env or the image",
    ),
    "a node that was restarted": (
        "container engine of chat-a-0 was lost: its node, or the container runtime there, was restarted",
        "started again by itself",
    ),
    "a secret that is not there": ('CreateContainerConfigError: secret "k" not found', "Make the Secret"),
    "no room for pods": ("pods cannot be made: is forbidden: exceeded quota: q", "isolation.quota"),
    "no node": ("not within 5 s: not scheduled: 0/3 nodes are available", "Add a node"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_cause_has_its_remedy(name: str) -> None:
    cause, said = CASES[name]
    assert said in remedy(cause)


def test_lines_tell_what_the_cause_alone_does_not() -> None:
    late = "not within 30 s: 0 of 1 replicas are available; pods: 1 starting"
    lost = "chat-a-0 is on node n, which does not answer any more: NodeStatusUnknown: no status"
    assert "kubectl delete node" in remedy(late, ["Pod chat-a-0: Pulled: done", lost])


def test_what_is_only_late_may_need_longer() -> None:
    cause = "not within 5 s: 1 of 2 replicas are available"
    assert remedy(cause, is_late=True) == "If it only needs longer, raise rollout.deadline_s."
    assert "Add a node" in remedy("not within 5 s: not scheduled: 0/3 nodes are available", is_late=True)


def test_a_cause_that_nobody_knows_has_none() -> None:
    assert remedy("the operator says: Failed: who knows") == ""

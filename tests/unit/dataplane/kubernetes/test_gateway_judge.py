"""When a gateway's StatefulSet truly runs a spec: its pods tell, not its counts."""

from typing import Any

import pytest

from slipway.runtimes.cluster import gateway_judge
from slipway.runtimes.judging.objects import Object
from slipway.runtimes.judging.verdict import Verdict
from slipway.runtimes.rendering import identity

from .observed import NAME, NAMESPACE, NEW, OLD, crashed, pod, seen, waiting_for, wanted


def replicas(digest: str = NEW, *, count: int = 2, observed: int = 2, **status: Any) -> Object:
    template = {"metadata": {"annotations": {identity.SPEC_DIGEST: digest}}, "spec": {"containers": []}}
    return {
        "kind": "StatefulSet",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "generation": 2},
        "spec": {"replicas": count, "template": template},
        "status": {"observedGeneration": observed, **status},
    }


def judged(*objects: Object) -> Verdict:
    return gateway_judge.verdict(wanted("apps/v1", "StatefulSet"), seen(*objects))


def stranger(digest: str) -> Object:
    """A pod of the Deployment that an earlier version made, with the endpoint's labels."""
    made = pod(0, digest)
    made["metadata"]["name"] = f"{NAME}-6c5d8f-x7k2p"
    return made


STATES = {
    "all new": ((replicas(), pod(0), pod(1)), "serving"),
    "none there": ((pod(0),), "missing"),
    "another template": ((replicas(OLD), pod(0), pod(1)), "overtaken"),
    "a generation that nobody has seen": ((replicas(observed=1), pod(0), pod(1)), "waiting"),
    "one is old": ((replicas(), pod(0, OLD), pod(1)), "waiting"),
    "one is new and not ready": ((replicas(), pod(0), pod(1, ready=False)), "waiting"),
    "one is new and ready and ends": ((replicas(), pod(0), pod(1, ending=True)), "waiting"),
    "an old one drains, and its successor waits for its end": (
        (replicas(count=1), pod(0, OLD, ending=True)),
        "waiting",
    ),
    "one is missing": ((replicas(), pod(0)), "waiting"),
    "one is left of a larger number": ((replicas(count=1), pod(0), pod(1)), "waiting"),
    "counts that say all is well": (
        (replicas(readyReplicas=2, updatedReplicas=2, availableReplicas=2), pod(0, OLD), pod(1, OLD)),
        "waiting",
    ),
    "pods of the Deployment that was": ((replicas(), pod(0), pod(1), stranger(OLD)), "serving"),
    "those alone": ((replicas(count=1), stranger(NEW)), "waiting"),
    "a crash again and again": ((replicas(), pod(0), pod(1, container=crashed(5))), "failed"),
    "an image that is not there": (
        (replicas(), pod(0), pod(1, container=waiting_for("ImagePullBackOff", "not found"))),
        "failed",
    ),
    "a crash of the spec before": ((replicas(), pod(0), pod(1, OLD, container=crashed(5))), "waiting"),
    "no replicas": ((replicas(count=0),), "idle"),
}


@pytest.mark.parametrize(("objects", "state"), STATES.values(), ids=STATES)
def test_a_gateway_serves_when_every_replica_is_ready_and_of_the_spec(
    objects: tuple[Object, ...], state: str
) -> None:
    assert judged(*objects).state == state


def test_a_volume_that_nobody_provides_is_told_while_it_is_waited_for() -> None:
    claim = "pod has unbound immediate PersistentVolumeClaims"
    verdict = judged(replicas(count=1), pod(0, ready=False, unscheduled=claim))
    assert verdict.state == "waiting"
    assert claim in verdict.message

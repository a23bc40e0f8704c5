"""Promises of the wait on real pods: what it waits for, what it tells meanwhile, and when it notices.

Most ways to fail are in ../disruptions; a control plane that is away is in ../rollouts.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from kubernetes.client import ApiClient

from slipway.dataplane.errors import NotServingError, OvertakenError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.records.revisions import Applied
from slipway.runtimes.rendering.pods import PORT_NAME
from testbed.cluster.cluster import Running
from testbed.cluster.objects import Objects

from .conftest import Log, fake, resolve

SOON_S = 60
POD = {
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "terminationGracePeriodSeconds": 2,
}


def running(wanted: Applied, image: str, **container: Any) -> Applied:
    """The revision with another program in its pods, and nothing else that they would wait for."""
    changed = json.loads(json.dumps(wanted.rendered))
    template = next(each for each in changed["objects"] if each["kind"] == "Deployment")["spec"]["template"]
    kept = template["spec"]["containers"][0]
    plain = [each for each in kept["env"] if "value" in each]
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    ports = [{"name": PORT_NAME, "containerPort": 8080}]
    one = {"name": kept["name"], "image": image, "env": plain, "ports": ports, "readinessProbe": probe}
    pull = template["spec"].get("imagePullSecrets")
    template["spec"] = {
        **POD,
        **({"imagePullSecrets": pull} if pull else {}),
        "containers": [{**one, **container}],
    }
    return replace(wanted, rendered=changed)


@pytest.fixture
def web(cluster: Running) -> str:
    """The smallest real server: it answers any GET on 8080."""
    return cluster.images["web"].reference


def fails(plane: Kubernetes, wanted: Applied, log: Log, deadline_s: float = SOON_S) -> NotServingError:
    """The error of a rollout that must fail."""
    plane.apply(wanted)
    with pytest.raises(NotServingError) as caught:
        plane.wait(wanted, deadline_s, log)
    return caught.value


def test_a_registry_that_does_not_answer_is_waited_for_and_named(plane: Kubernetes, log: Log) -> None:
    image = f"registry.nowhere.test/engine@sha256:{'0' * 64}"
    error = fails(plane, running(plane.render(resolve()), image), log, deadline_s=6)
    assert "registry.nowhere.test" in error.cause
    assert any(line.state == "event" and "Pulling image" in line.message for line in log.lines)


def test_what_no_node_can_take_says_what_it_asks_for_and_how_many_nodes_lack_it(
    plane: Kubernetes, web: str, gpu_node: Callable[..., str], log: Log
) -> None:
    gpu_node(1)
    asked = {"requests": {"nvidia.com/gpu": "4"}, "limits": {"nvidia.com/gpu": "4"}}
    error = fails(plane, running(plane.render(resolve()), web, resources=asked), log, deadline_s=5)
    assert "Insufficient nvidia.com/gpu" in error.cause
    assert any("asks for nvidia.com/gpu=4: 0/" in line for line in error.log)


def test_readiness_is_noticed_within_a_second(
    plane: Kubernetes, web: str, objects: Objects, namespace: str, log: Log
) -> None:
    probe = {"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": 4, "periodSeconds": 1}
    wanted = running(plane.render(resolve()), web, readinessProbe=probe)
    plane.apply(wanted)
    ready_at: list[float] = []

    def observe() -> None:
        while not ready_at:
            found = objects.get("apps/v1", "Deployment", wanted.application, namespace)
            if (found or {}).get("status", {}).get("availableReplicas"):
                ready_at.append(time.monotonic())
            time.sleep(0.02)

    observer = threading.Thread(target=observe, daemon=True)
    observer.start()
    plane.wait(wanted, SOON_S, log)
    done_at = time.monotonic()
    observer.join(2)
    assert abs(done_at - ready_at[0]) < 1.0


def test_progress_tells_of_the_image_the_pods_and_the_replicas_each_once(
    plane: Kubernetes, web: str, log: Log
) -> None:
    wanted = running(plane.render(resolve(replicas=2)), web)
    plane.apply(wanted)
    plane.wait(wanted, SOON_S, log)
    lines = [str(each) for each in log.lines]
    assert len(lines) == len(set(lines))
    assert lines[-1].endswith("serving, 2/2 replicas, every ready pod carries the spec digest")


class TestInPlace:
    """Two rollouts of one deployment under one name, on fake nodes."""

    @pytest.fixture
    def revisions(self, plane: Kubernetes, fake_nodes: list[str]) -> Iterator[list[Applied]]:
        """Two revisions of the same objects."""
        strategy = {"rollout": {"strategy": "in-place"}}
        yield [plane.render(fake(env={"N": each}, **strategy)) for each in ("1", "2")]

    def test_a_rollout_that_is_overtaken_gives_way_and_undoes_nothing(
        self, plane: Kubernetes, revisions: list[Applied], log: Log
    ) -> None:
        first, second = revisions
        plane.apply(first)
        plane.apply(second)
        with pytest.raises(OvertakenError, match=rf"spec {first.spec_digest[:8]} gives way"):
            plane.wait(first, SOON_S, log)
        plane.wait(second, SOON_S, log)
        assert [each.spec_digest for each in plane.status("chat")] == [second.spec_digest]

    def test_a_workload_that_somebody_removed_is_applied_again(
        self, plane: Kubernetes, revisions: list[Applied], objects: Objects, namespace: str, log: Log
    ) -> None:
        plane.apply(revisions[0])
        objects.delete("apps/v1", "Deployment", "chat", namespace)
        plane.wait(revisions[0], SOON_S, log)
        assert plane.status("chat")[0].is_serving


def test_a_watch_without_the_right_to_is_refused_by_name(
    plane: Kubernetes,
    make_plane: Callable[..., Kubernetes],
    rolled_out: Applied,
    as_role: Callable[..., ApiClient],
    log: Log,
) -> None:
    rules = [{"apiGroups": ["*"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]}]
    blind = make_plane(KubernetesApi(as_role(rules), patience_s=5))
    with pytest.raises(Exception, match=r"may not (list|watch) (pods|events)"):
        blind.wait(rolled_out, SOON_S, log)

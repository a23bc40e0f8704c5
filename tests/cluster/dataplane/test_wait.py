"""Promises of the wait on real pods: every failure is one message with its cause, as soon as it is final."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from kubernetes.client import ApiClient

from slipway.dataplane.errors import NotServingError, OvertakenError
from slipway.dataplane.kubernetes.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.protocol import Applied

from ..harness.cluster import Running
from ..harness.objects import Objects
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
    one = {"name": kept["name"], "image": image, "env": plain, "readinessProbe": probe}
    template["spec"] = {**POD, "containers": [{**one, **container}]}
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


def test_an_image_that_is_none_fails_at_once_and_the_old_revision_serves_on(
    plane: Kubernetes, web: str, log: Log
) -> None:
    good = running(plane.render(resolve()), web)
    plane.apply(good)
    plane.wait(good, SOON_S, log)
    began = time.monotonic()
    error = fails(plane, running(plane.render(resolve(env={"NEW": "1"})), "no such image"), log)
    assert time.monotonic() - began < SOON_S / 4
    assert "InvalidImageName" in error.cause
    assert {each.spec_digest for each in plane.status("chat") if each.is_serving} == {good.spec_digest}


def test_a_registry_that_does_not_answer_is_waited_for_and_named(plane: Kubernetes, log: Log) -> None:
    image = f"registry.nowhere.test/engine@sha256:{'0' * 64}"
    error = fails(plane, running(plane.render(resolve()), image), log, deadline_s=6)
    assert "registry.nowhere.test" in error.cause
    assert any(line.state == "event" and "Pulling image" in line.message for line in log.lines)


def test_a_crash_loop_shows_the_last_lines_of_the_container_that_crashed(
    plane: Kubernetes, web: str, log: Log
) -> None:
    error = fails(plane, running(plane.render(resolve()), web, args=["crash"]), log)
    assert "last with exit code 3" in error.cause
    assert "crashed as it was told to" in error.log


def test_memory_that_does_not_suffice_is_said_to_be_the_cause(plane: Kubernetes, web: str, log: Log) -> None:
    little = {"requests": {"memory": "32Mi"}, "limits": {"memory": "32Mi"}}
    error = fails(plane, running(plane.render(resolve()), web, args=["eat"], resources=little), log)
    assert "OOMKilled: it used more than its memory limit" in error.cause


def test_what_is_never_ready_fails_at_the_deadline_with_the_probe_s_word(
    plane: Kubernetes, web: str, log: Log
) -> None:
    probe = {"httpGet": {"path": "/", "port": 9}, "periodSeconds": 1}
    error = fails(plane, running(plane.render(resolve()), web, readinessProbe=probe), log, deadline_s=8)
    assert "not within 8 s: 0 of 1 replicas are available" in error.cause
    assert any("Readiness probe failed" in line for line in error.log)


def test_what_no_node_can_take_says_what_it_asks_for_and_how_many_nodes_lack_it(
    plane: Kubernetes, web: str, gpu_node: Callable[..., str], log: Log
) -> None:
    gpu_node(1)
    asked = {"requests": {"nvidia.com/gpu": "4"}, "limits": {"nvidia.com/gpu": "4"}}
    error = fails(plane, running(plane.render(resolve()), web, resources=asked), log, deadline_s=5)
    assert "Insufficient nvidia.com/gpu" in error.cause
    assert any("asks for nvidia.com/gpu=4: 0/" in line for line in error.log)


def test_a_secret_that_is_missing_is_named(plane: Kubernetes, web: str, log: Log, monkeypatch: Any) -> None:
    monkeypatch.setattr("slipway.dataplane.kubernetes.serving.pods.CONFIG_GRACE_S", 3.0)
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "not-there", "key": "k"}}}]
    wanted = plane.render(resolve())
    kept = [{"name": "SLIPWAY_SPEC_DIGEST", "value": wanted.spec_digest}]
    error = fails(plane, running(wanted, web, env=[*kept, *env]), log)
    assert 'secret "not-there" not found' in error.cause


def test_pods_that_the_quota_refuses_are_told(
    plane: Kubernetes, web: str, objects: Objects, namespace: str, log: Log, monkeypatch: Any
) -> None:
    monkeypatch.setattr("slipway.dataplane.kubernetes.serving.deployments.REPLICA_GRACE_S", 2.0)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    objects.apply([{**quota, "spec": {"hard": {"pods": "0"}}}], namespace)
    error = fails(plane, running(plane.render(resolve()), web), log)
    assert "exceeded quota: q" in error.cause


def test_an_api_server_that_is_away_is_waited_for(
    plane: Kubernetes, web: str, log: Log, without: Callable[..., AbstractContextManager[None]]
) -> None:
    probe = {"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": 6, "periodSeconds": 1}
    wanted = running(plane.render(resolve()), web, readinessProbe=probe)
    plane.apply(wanted)
    with without("kube-apiserver"):
        waiting = threading.Thread(target=plane.wait, args=(wanted, SOON_S, log))
        waiting.start()
        time.sleep(3)
    waiting.join(SOON_S)
    assert log.lines[-1].state == "serving"


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

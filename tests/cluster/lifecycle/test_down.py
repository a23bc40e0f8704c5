"""Promises of `make cluster-down`: whatever state the cluster is in, nothing of it is left."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from testbed.cluster import addons, cluster, debian, network, processes, second_node
from testbed.cluster.cluster import Running, State
from testbed.cluster.layout import BRIDGE, CHECKOUT, Layout
from testbed.cluster.objects import Object, Objects, client, condition, eventually


@pytest.fixture
def layout() -> Iterator[Layout]:
    """The machine's place for a cluster, with none there and nobody who uses it; none is there afterwards."""
    layout = Layout.default()
    state = State.read(layout)
    if state is not None and state.kept:
        pytest.skip("`make cluster-up` started the cluster that runs, and this test would destroy it")
    with layout.users_file.open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.skip("another test session uses the cluster")
        cluster.down(layout, print)
        try:
            yield layout
        finally:
            cluster.down(layout, print)


@pytest.fixture
def machine(layout: Layout) -> Callable[[], dict[str, object]]:
    """What a cluster changes of this machine, as it is when asked."""
    environment = debian.node_programs(layout).environment()

    def look() -> dict[str, object]:
        return {
            "processes": sorted(processes.running(layout)),
            "processes of pods": sorted(processes.pod_processes()),
            "mounts": network.mounts(layout.run),
            "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
            "network namespaces": sorted(path.name for path in Path("/run/netns").glob("cni-*")),
            "rules": network.foreign_rules(environment),
            "control groups": processes.cgroup_roots(),
            "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
            "overcommit": Path("/proc/sys/vm/overcommit_memory").read_text(),
            "files": layout.run.exists(),
        }

    return look


def with_pods(layout: Layout) -> Running:
    """A cluster with pods on two nodes, memory mounted into them, and a fake node."""
    running = cluster.up(layout, print, kept=False)
    objects = Objects(client(running.kubeconfig))
    addons.start_kwok(layout, running.ports)
    second_node.start(layout, running.ports, objects)
    image = running.images["web"].tag
    objects.apply([_pods("web", image), _pods("web-2", image, second_node.PLACEMENT)], "default")

    def are_ready() -> bool:
        found = objects.list("apps/v1", "Deployment", "default")
        return [condition(each, "Available") for each in found] == ["True", "True"]

    eventually(are_ready, "pods of both nodes are Ready")
    assert network.mounts(layout.run)
    assert processes.pod_processes()
    return running


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_cluster_whose_every_component_was_killed_leaves_nothing(
    layout: Layout, machine: Callable[[], dict[str, object]]
) -> None:
    before = machine()
    with_pods(layout)
    live = processes.running(layout)
    shims = {each.pid for group in live.values() for each in group if "containerd-shim" in each.command}
    pods = processes.pod_processes()
    components = [each.pid for group in live.values() for each in group if each.pid not in shims | pods]
    assert len(components) >= 10  # etcd, 3 of the control plane, kube-proxy, KWOK, and each node's two
    kill(components)
    assert processes.pod_processes(), "pods outlive their node's components"
    cluster.down(layout, print)
    assert machine() == before


def test_pods_whose_shims_were_killed_leave_nothing(
    layout: Layout, machine: Callable[[], dict[str, object]]
) -> None:
    before = machine()
    with_pods(layout)
    live = processes.running(layout)
    pods = processes.pod_processes()
    kill([each.pid for group in live.values() for each in group if each.pid not in pods])
    assert processes.pod_processes(), "orphans of killed shims live on"
    cluster.down(layout, print)
    assert machine() == before


def test_an_up_killed_at_any_moment_is_completed_by_the_next_or_taken_down(
    layout: Layout, machine: Callable[[], dict[str, object]]
) -> None:
    before = machine()
    for moment_s in (0.8, 1.6, 3.5):
        up = subprocess.Popen([sys.executable, "-m", "testbed.cluster", "up"], cwd=CHECKOUT)
        time.sleep(moment_s)
        up.kill()
        up.wait()
    cluster.up(layout, print, kept=False)
    assert BRIDGE in machine()["interfaces"]  # type: ignore[operator]
    cluster.down(layout, print)
    assert machine() == before
    cluster.down(layout, print)  # again, where there is nothing
    assert machine() == before


def _pods(name: str, image: str, placement: Mapping[str, object] | None = None) -> Object:
    labels = {"app": name}
    container = {
        "name": "web",
        "image": image,
        "volumeMounts": [{"name": "memory", "mountPath": "/tmp"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    }
    volumes = [{"name": "memory", "emptyDir": {"medium": "Memory"}}]
    spec = {"containers": [container], "volumes": volumes, **(placement or {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1 if placement else 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }

"""A second real node, for tests that lose one while a pod runs on it.

Belongs here: its start, its sudden end, and taking away what is left. Does not: how a node is made (node.py).
"""

import contextlib
import os
import shutil
import signal
from collections.abc import Mapping

from testbed.cluster import debian, network, node, processes
from testbed.cluster.layout import SECOND_NODE, Layout
from testbed.cluster.objects import Object, Objects, condition, eventually

# Other pods stay away from it.
TAINT = {"key": "slipway.test/second-node", "value": "true", "effect": "NoSchedule"}
# What a pod's spec needs in order to be there.
PLACEMENT: Mapping[str, object] = {
    "nodeSelector": {"kubernetes.io/hostname": SECOND_NODE},
    "tolerations": [{"key": TAINT["key"], "operator": "Exists"}],
}


def start(layout: Layout, ports: Mapping[str, int], objects: Objects) -> None:
    """Start containerd and a kubelet of its own, and wait until the node is Ready. Raises ClusterError."""
    node.start_kubelet(layout.of(SECOND_NODE), ports[SECOND_NODE], debian.node_programs(layout), [TAINT])
    eventually(
        lambda: condition(objects.get("v1", "Node", SECOND_NODE), "Ready") == "True",
        f"{SECOND_NODE} is Ready",
    )


def lose(layout: Layout) -> None:
    """End it as a failing power supply does: kubelet, containerd and pods at once, and nobody is told."""
    place = layout.of(SECOND_NODE)
    live = processes.running(layout)
    own = {each.pid for name in ("kubelet", "containerd") for each in live.get(place.process(name), [])}
    for pid in own | processes.pod_processes(place.cgroup):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def pods(objects: Objects, namespace: str) -> list[Object]:
    """Pods of a namespace that are bound to it."""
    found = objects.list("v1", "Pod", namespace)
    return [each for each in found if each["spec"].get("nodeName") == SECOND_NODE]


def remove(layout: Layout, objects: Objects) -> None:
    """Lose it, and have the cluster forget it, as `kubectl delete node` does; its files go, too."""
    place = layout.of(SECOND_NODE)
    lose(layout)
    objects.delete("v1", "Node", SECOND_NODE)
    for directory in (place.kubelet, place.containerd, place.pod_logs):
        network.remove_mounts(directory)
        shutil.rmtree(directory, ignore_errors=True)

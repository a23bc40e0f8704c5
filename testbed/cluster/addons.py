"""What is added to the bare cluster: names (CoreDNS), images bound to this machine, fake nodes (KWOK).

Belongs here: what every cluster gets, and KWOK on demand. Does not: the operators (operators.py).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from kubernetes.client.exceptions import ApiException

from testbed.cluster import binaries, processes
from testbed.cluster.errors import ClusterError
from testbed.cluster.images import Stored
from testbed.cluster.layout import (
    BRIDGE_IP,
    DNS_IP,
    FAKE_POD_NETWORK,
    IMAGE_REGISTRY,
    MANIFESTS,
    NODE,
    Layout,
)
from testbed.cluster.node import HOST_HANDLER
from testbed.cluster.objects import Object, Objects, client, condition, eventually, load

FAKE = {"kwok.x-k8s.io/node": "fake"}


def start(layout: Layout, stored: Mapping[str, Stored]) -> None:
    """Apply them, and wait until the node is Ready and names resolve. Raises ClusterError."""
    objects = Objects(client(layout.kubeconfig()))
    programs = str(binaries.program(layout, "coredns").parent)
    try:
        eventually(
            lambda: objects.get("v1", "ServiceAccount", "default", "default"), "the default ServiceAccount"
        )
        objects.apply(load(MANIFESTS / "host-files.yaml", registry=IMAGE_REGISTRY, handler=HOST_HANDLER))
        dns = load(MANIFESTS / "coredns.yaml", dns_ip=DNS_IP, blank=stored["blank"].tag, programs=programs)
        objects.apply(dns)
        eventually(lambda: condition(objects.get("v1", "Node", NODE), "Ready") == "True", "the node is Ready")
        eventually(lambda: _names_resolve(objects), "CoreDNS is Available")
    except AssertionError as error:
        raise ClusterError(f"{error}. Logs: {layout.log('kubelet').parent}") from error


def _names_resolve(objects: Objects) -> bool:
    deployment = objects.get("apps/v1", "Deployment", "coredns", "kube-system")
    return condition(deployment, "Available") == "True"


_KWOK_STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")


def start_kwok(layout: Layout, ports: Mapping[str, int]) -> None:
    """Start KWOK, which plays the kubelet for nodes with its annotation and leaves the real one alone."""
    component = next(each for each in binaries.CORE if each.name == "kwok")
    files = binaries.location(layout, component) / "files"
    # Those that take no time: the others have a pod wait for up to six seconds at each step.
    paths = [path for folder in _KWOK_STAGES for path in sorted(files.glob(f"**/{folder}/*.yaml"))]
    stages = [document for path in paths for document in _stages(path.read_text())]
    config = layout.run / "kwok.yaml"
    config.write_text(yaml.safe_dump_all(stages))
    command = [
        str(binaries.program(layout, "kwok")),
        f"--kubeconfig={layout.kubeconfig()}",
        f"--config={config}",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        f"--cidr={FAKE_POD_NETWORK}",
        f"--node-ip={BRIDGE_IP}",
        "--node-lease-duration-seconds=40",  # without leases all nodes become NotReady
        f"--server-address=127.0.0.1:{ports['kwok']}",
    ]
    processes.start(layout, "kwok", command)


def _stages(text: str) -> list[Object]:
    return [each for each in yaml.safe_load_all(text) if each and each.get("kind") == "Stage"]


def fake_node(name: str, gpus: int = 8, labels: Mapping[str, str] | None = None) -> Object:
    """A node that only the API server knows; its taint keeps out pods that do not ask for it."""
    room = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
    own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": FAKE, "labels": {**own, **(labels or {})}},
        "spec": {"taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": room, "capacity": room},
    }


def make_fake_nodes(
    layout: Layout, ports: Mapping[str, int], objects: Objects, nodes: Sequence[Object]
) -> None:
    """Make nodes as `fake_node` gives them, and wait until KWOK says that they are Ready."""
    start_kwok(layout, ports)
    names = {each["metadata"]["name"] for each in nodes}
    for each in nodes:
        try:
            objects.call("POST", objects.path("v1", "Node"), each)
        except ApiException as error:
            if error.status != 409:  # another process of the tests was first
                raise

    def are_ready() -> bool:
        made = [each for each in objects.list("v1", "Node") if each["metadata"]["name"] in names]
        return all(condition(each, "Ready") == "True" for each in made)

    eventually(are_ready, "KWOK")


def local_storage(storage_class: str, directory: Path, count: int, size: str) -> list[Object]:
    """A StorageClass and volumes that are directories of this machine, which any user of a pod may write."""
    api_version = "storage.k8s.io/v1"
    made: list[Object] = [
        {
            "apiVersion": api_version,
            "kind": "StorageClass",
            "metadata": {"name": storage_class},
            "provisioner": "kubernetes.io/no-provisioner",
        }
    ]
    for number in range(count):
        path = directory / f"{storage_class}-{number}"
        path.mkdir()
        path.chmod(0o777)  # a hostPath is not given to the pod's group
        spec = {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "hostPath": {"path": str(path)},
        }
        name = f"{storage_class}-{number}"
        made.append(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
        )
    return made


def set_fake_gpus(objects: Objects, resource: str, count: int | None) -> None:
    """Give the real node that many of an extended resource that no device is behind; None takes it away.

    The kubelet leaves what it does not know in the node's status alone, so it stays until it is removed.
    """
    path = objects.path("v1", "Node", name=NODE) + "/status"

    def patched() -> bool:
        node = objects.call("GET", path)
        for room in (node["status"]["capacity"], node["status"]["allocatable"]):
            room.pop(resource, None)
            if count is not None:
                room[resource] = str(count)
        objects.call("PUT", path, node)  # a conflict with the kubelet's own update is tried again
        return True

    eventually(patched, f"{resource} of {NODE}")

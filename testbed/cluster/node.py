"""A real node: containerd and kubelet on this machine, and the kube-proxy that all nodes share.

Belongs here: their configuration, start and end. Does not: the bridge (network.py), images (images.py), the
node that is lost (second_node.py).
"""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from testbed.cluster import binaries, images, network, processes
from testbed.cluster.debian import NodePrograms
from testbed.cluster.layout import BRIDGE, BRIDGE_IP, DNS_IP, IMAGE_REGISTRY, NODE, NODES, POD_NETWORK, Layout

HOST_HANDLER = "slipway-host"
_CONTAINER_LOGS = Path("/var/log/containers")

_CONTAINERD = """\
version = 2
root = "{root}/root"
state = "{root}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{registry}/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugins}"
    conf_dir = "{root}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}]
      runtime_type = "io.containerd.runc.v2"
      base_runtime_spec = "{root}/host-spec.json"
"""


def start(layout: Layout, ports: Mapping[str, int], programs: NodePrograms) -> dict[str, images.Stored]:
    """Start what does not run yet; the images that are there then. Raises ClusterError."""
    stored = start_kubelet(layout, ports[layout.node], programs)
    processes.start(layout, "kube-proxy", _kube_proxy(layout), programs.environment())
    return stored


def start_kubelet(
    layout: Layout, port: int, programs: NodePrograms, taints: Sequence[Mapping[str, str]] = ()
) -> dict[str, images.Stored]:
    """Start containerd and the kubelet of `layout.node`; the images that it has. Raises ClusterError."""
    start_containerd(layout, programs)
    stored = images.ensure(layout, programs, images.brought(layout))
    processes.make_cgroup(layout.cgroup)
    layout.kubelet.mkdir(exist_ok=True)
    config = layout.kubelet / "config.yaml"
    config.write_text(yaml.safe_dump({**_kubelet(layout, port), "registerWithTaints": [*taints]}))
    command = [
        str(binaries.program(layout, "kubelet")),
        f"--config={config}",
        f"--kubeconfig={layout.kubeconfig(layout.node)}",
        f"--hostname-override={layout.node}",
        f"--node-ip={BRIDGE_IP}",
        f"--root-dir={layout.kubelet}",
        f"--cert-dir={layout.kubelet}/pki",
    ]
    processes.start(layout, layout.process("kubelet"), command, programs.environment())
    return stored


def start_containerd(layout: Layout, programs: NodePrograms) -> None:
    """Start containerd unless it runs, and wait until it answers."""
    root = layout.containerd
    (root / "cni").mkdir(parents=True, exist_ok=True)
    (root / "cni" / "10-bridge.conflist").write_text(json.dumps(_cni(layout)))
    (root / "host-spec.json").write_text(_host_spec(programs))
    config = root / "config.toml"
    config.write_text(
        _CONTAINERD.format(
            root=root,
            socket=layout.containerd_socket,
            registry=IMAGE_REGISTRY,
            cni_plugins=programs.cni_plugins,
            handler=HOST_HANDLER,
        )
    )
    name = layout.process("containerd")
    processes.start(layout, name, ["containerd", "--config", str(config)], programs.environment())
    processes.wait(lambda: _answers(layout, programs), f"{name} answers", layout.log(name), timeout_s=30)


def stop(layout: Layout, programs: NodePrograms | None) -> None:
    """End kubelets, pods and containerd, in the order in which none starts another again."""
    kubelets = [layout.of(each).process("kubelet") for each in NODES]
    processes.stop(layout, [*kubelets, "kube-proxy"])
    if programs is not None and _answers(layout, programs):
        _remove_containers(layout, programs)
    processes.stop_all(layout)
    network.remove_mounts(layout.run)
    network.remove_namespaces()
    processes.remove_cgroups()
    if _CONTAINER_LOGS.is_dir():
        for link in _CONTAINER_LOGS.iterdir():
            if link.is_symlink() and str(link.readlink()).startswith(f"{layout.run}/"):
                link.unlink()


def _remove_containers(layout: Layout, programs: NodePrograms) -> None:
    """Through containerd, so that the shims end and unmount; whatever it cannot, the caller ends by force."""
    with contextlib.suppress(Exception):
        for task in images.ctr(layout, programs, "tasks", "list", "-q").split():
            with contextlib.suppress(Exception):
                images.ctr(layout, programs, "tasks", "delete", "--force", task)


def _answers(layout: Layout, programs: NodePrograms) -> bool:
    if not layout.containerd_socket.exists():
        return False
    command = ["ctr", "--address", str(layout.containerd_socket), "--timeout", "2s", "version"]
    try:
        return (
            subprocess.run(command, env=programs.environment(), capture_output=True, timeout=5).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _host_spec(programs: NodePrograms) -> str:
    """Containerd's default OCI spec and read-only binds of what `venv/` images need of this machine."""
    result = subprocess.run(
        ["ctr", "oci", "spec"], env=programs.environment(), capture_output=True, check=True, text=True
    )
    spec = json.loads(result.stdout)
    spec["process"].pop("rlimits", None)  # the machine's own, not containerd's 1024 files
    for path in images.host_paths():
        spec["mounts"].append(
            {"destination": str(path), "type": "bind", "source": str(path), "options": ["rbind", "ro"]}
        )
    return json.dumps(spec)


def _cni(layout: Layout) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.addresses),
        "ranges": [[{"subnet": POD_NETWORK, "gateway": BRIDGE_IP}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "slipway", "plugins": [bridge]}


def _kubelet(layout: Layout, port: int) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": BRIDGE_IP,
        "port": port,
        "readOnlyPort": 0,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{layout.pki}/ca.crt"},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": f"{layout.pki}/{layout.node}.crt",
        "tlsPrivateKeyFile": f"{layout.pki}/{layout.node}.key",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "podLogsDir": str(layout.pod_logs),
        "volumePluginDir": f"{layout.kubelet}/volume-plugins",
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
        "imageGCHighThresholdPercent": 100,
        # A developer's disk is allowed to be nearly full.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def _kube_proxy(layout: Layout) -> list[str]:
    return [
        str(binaries.program(layout, "kube-proxy")),
        f"--kubeconfig={layout.kubeconfig('kube-proxy')}",
        f"--hostname-override={NODE}",
        "--proxy-mode=iptables",
        "--iptables-localhost-nodeports=false",
        "--detect-local-mode=BridgeInterface",
        f"--pod-bridge-interface={BRIDGE}",
        # The kernel's connection tracking belongs to the machine, not to the tests.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--metrics-bind-address=",
        "--healthz-bind-address=",
    ]


def remove_files(layout: Layout) -> None:
    """Remove the run directory; nothing is mounted below it any more."""
    if left := network.mounts(layout.run):  # never delete through one: volumes may be the developer's own
        raise AssertionError(f"{left} are still mounted")
    shutil.rmtree(layout.run, ignore_errors=True)

"""Where the test cluster keeps what, and which addresses it takes.

Belongs here: paths and addresses. Does not: creating or reading them.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = Path(__file__).resolve().parent
MANIFESTS = SOURCES / "manifests"

# Chosen away from the defaults of Docker, Podman, Flannel and kubeadm, so that it runs beside them.
BRIDGE = "slipway0"
POD_NETWORK = "10.231.0.0/16"
BRIDGE_IP = "10.231.0.1"
SERVICE_NETWORK = "10.232.0.0/16"
API_SERVICE_IP = "10.232.0.1"
DNS_IP = "10.232.0.10"
FAKE_POD_NETWORK = "10.233.0.0/16"

NODE = "slipway-node"
# On demand, to be lost: pods ask for it by name, and tolerate its taint.
SECOND_NODE = "slipway-node-2"
NODES = (NODE, SECOND_NODE)
CGROUP = "slipway-cluster"
IMAGE_REGISTRY = "registry.slipway.test"

# Each gets a free port when a cluster is made, and keeps it.
PORT_NAMES = (
    "etcd",
    "etcd-peer",
    "api",
    *NODES,
    "kwok",
    "keda-health",
    "keda-grpc",
    "keda-adapter",
    "keda-adapter-metrics",
    "metrics-server",
    "metallb",
)


@dataclass(frozen=True)
class Layout:
    """The files of one machine's test cluster: `cache` is made once, `run` goes with the cluster.

    `node`: whose are the files that each node has.
    """

    cache: Path
    run: Path
    node: str = NODE

    @classmethod
    def default(cls) -> "Layout":
        """Below `~/.cache/slipway/cluster`, or below SLIPWAY_CLUSTER_CACHE."""
        base = os.environ.get("SLIPWAY_CLUSTER_CACHE") or Path.home() / ".cache" / "slipway" / "cluster"
        cache = Path(base).resolve()
        return cls(cache, cache / "run")

    @property
    def lock_file(self) -> Path:
        """Held by the one `up` or `down` at work; outside of `run`, which `down` removes."""
        return self.cache / "cluster.lock"

    @property
    def users_file(self) -> Path:
        """Held, shared, by each test session that uses the cluster."""
        return self.cache / "users.lock"

    @property
    def state_file(self) -> Path:
        """Whose cluster it is, its ports and the binaries it runs, as JSON."""
        return self.run / "cluster.json"

    @property
    def kernel_settings_file(self) -> Path:
        """Kernel settings as they were before, to be put back."""
        return self.run / "kernel-settings.json"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.run / "pki"

    def kubeconfig(self, user: str = "admin") -> Path:
        """Client configuration of one of the users that certificates.py knows; mode 0600."""
        return self.pki / f"{user}.kubeconfig"

    def of(self, node: str) -> "Layout":
        """The same cluster's, for another of its nodes."""
        return replace(self, node=node)

    def process(self, program: str) -> str:
        """The name of a node's process: `containerd`, or `containerd-slipway-node-2`."""
        return program if self.node == NODE else f"{program}-{self.node}"

    @property
    def cgroup(self) -> str:
        """The control group of the node's pods; a kubelet ends what it does not know below its own."""
        return CGROUP if self.node == NODE else f"{CGROUP}/{self.node}"

    @property
    def addresses(self) -> Path:
        """Which addresses pods have; for all nodes, as they share the bridge."""
        return self.run / "addresses"

    @property
    def pod_logs(self) -> Path:
        """What the node's pods print."""
        return self.run / self.process("pod-logs")

    def log(self, process: str) -> Path:
        """Standard output and error of a process."""
        return self.run / "log" / f"{process}.log"

    @property
    def containerd(self) -> Path:
        """Configuration of containerd, socket and state."""
        return self.run / self.process("containerd")

    @property
    def containerd_socket(self) -> Path:
        """Where `ctr` and the kubelet find containerd."""
        return self.containerd / "c.sock"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root: volumes of pods are mounted below it."""
        return self.run / self.process("kubelet")

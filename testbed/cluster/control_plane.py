"""etcd, kube-apiserver, controller-manager and scheduler.

Belongs here: their flags and the order in which they start. Does not: the node, operators.
"""

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping

from testbed.cluster import binaries, processes
from testbed.cluster.layout import BRIDGE_IP, SERVICE_NETWORK, Layout

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

# Without these, 300 Deployments take 72 s instead of 6: the controllers wait for their own client's limit.
_EAGER = ("--kube-api-qps=500", "--kube-api-burst=1000")


def api_url(ports: Mapping[str, int]) -> str:
    """The API server's address, for this machine and for pods alike; nothing outside can reach the bridge."""
    return f"https://{BRIDGE_IP}:{ports['api']}"


def start(layout: Layout, ports: Mapping[str, int]) -> None:
    """Start what does not run yet and wait until the API server is ready (2-3 s). Raises ClusterError."""
    processes.start(layout, "etcd", _etcd(layout, ports))
    start_apiserver(layout, ports)
    for name, flags in (("controller-manager", _controllers(layout)), ("scheduler", ())):
        command = [
            str(binaries.program(layout, f"kube-{name}")),
            f"--kubeconfig={layout.kubeconfig(name)}",
            "--leader-elect=false",
            "--secure-port=0",
            *_EAGER,
            *flags,
        ]
        processes.start(layout, f"kube-{name}", command)


def start_apiserver(layout: Layout, ports: Mapping[str, int]) -> None:
    """Start the API server unless it runs, and wait for it; the tests take it away and bring it back."""
    processes.start(layout, "kube-apiserver", _apiserver(layout, ports))
    log = layout.log("kube-apiserver")
    processes.wait(lambda: is_ready(layout, ports), "the API server is ready", log)


def is_ready(layout: Layout, ports: Mapping[str, int]) -> bool:
    """Whether /readyz says so."""
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    try:
        with urllib.request.urlopen(f"{api_url(ports)}/readyz", timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _etcd(layout: Layout, ports: Mapping[str, int]) -> list[str]:
    client, peer = (f"http://127.0.0.1:{ports[name]}" for name in ("etcd", "etcd-peer"))
    return [
        str(binaries.program(layout, "etcd")),
        f"--data-dir={layout.run / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # a test cluster need not survive a power cut
        "--log-level=warn",
    ]


def _apiserver(layout: Layout, ports: Mapping[str, int]) -> list[str]:
    pki = layout.pki
    return [
        str(binaries.program(layout, "kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{ports['etcd']}",
        f"--bind-address={BRIDGE_IP}",
        f"--advertise-address={BRIDGE_IP}",
        f"--secure-port={ports['api']}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        # For aggregated API servers, such as KEDA's metrics adapter.
        f"--requestheader-client-ca-file={pki}/ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        "--enable-aggregator-routing=true",
    ]


def _controllers(layout: Layout) -> tuple[str, ...]:
    pki = layout.pki
    return (
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--controllers=*,-node-route-controller,-cloud-node-lifecycle-controller,-service-lb-controller",
        # A node that went away is noticed while a test looks.
        "--node-monitor-grace-period=20s",
        "--horizontal-pod-autoscaler-sync-period=2s",
        "--horizontal-pod-autoscaler-downscale-stabilization=5s",
    )

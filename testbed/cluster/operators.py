"""Operators that come as Go modules: KEDA, metrics-server, cert-manager, MetalLB's controller, Envoy Gateway.

Belongs here: starting each beside the cluster, with its own definitions. Does not: doubles of those that
do not come as modules (KubeRay, KServe, ...).
"""

import base64
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from testbed.cluster import binaries, crds, processes
from testbed.cluster.cluster import Running
from testbed.cluster.errors import ClusterError
from testbed.cluster.layout import BRIDGE_IP, MANIFESTS
from testbed.cluster.objects import Object, Objects, condition, eventually, load

_START_S = 60


@dataclass(frozen=True)
class Operator:
    """What is built for it, its namespace, and its start; `start` is harmless when it runs."""

    component: binaries.Component
    namespace: str
    begin: Callable[[Running, Objects], None]

    def start(self, running: Running, objects: Objects) -> None:
        """Install its definitions and start it. Raises ClusterError."""
        files = binaries.location(running.layout, self.component) / "files"
        crds.install_files(objects, sorted(files.rglob("*.yaml")))
        objects.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}])
        self.begin(running, objects)


def _keda(running: Running, objects: Objects) -> None:
    layout, ports = running.layout, running.ports
    certificates = layout.run / "keda-certs"
    certificates.mkdir(exist_ok=True)
    for source, name in (("keda.crt", "tls.crt"), ("keda.key", "tls.key"), ("ca.crt", "ca.crt")):
        shutil.copy(layout.pki / source, certificates / name)
    environment = _environment(running) | {
        "POD_NAMESPACE": "keda",
        "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda",
        "WATCH_NAMESPACE": "",
        "KEDA_HTTP_DEFAULT_TIMEOUT": "3000",
        "OPERATOR_NAME": "keda-operator",
    }
    grpc = f"127.0.0.1:{ports['keda-grpc']}"
    operator = [
        str(binaries.program(layout, "keda-operator")),
        "--leader-elect=false",
        "--metrics-bind-address=0",
        f"--health-probe-bind-address=127.0.0.1:{ports['keda-health']}",
        f"--metrics-service-bind-address={grpc}",
        f"--cert-dir={certificates}",
        "--enable-cert-rotation=false",
        "--enable-webhook-patching=false",
        "--enable-apiservice-patching=false",
    ]
    processes.start(layout, "keda-operator", operator, environment)
    admin = layout.kubeconfig()
    adapter = [
        str(binaries.program(layout, "keda-adapter")),
        *(f"--{name}={admin}" for name in ("kubeconfig", "lister-kubeconfig")),
        *(f"--{name}-kubeconfig={admin}" for name in ("authentication", "authorization")),
        f"--bind-address={BRIDGE_IP}",
        f"--secure-port={ports['keda-adapter']}",
        f"--port={ports['keda-adapter-metrics']}",
        f"--cert-dir={certificates}",
        f"--tls-cert-file={certificates}/tls.crt",
        f"--tls-private-key-file={certificates}/tls.key",
        f"--metrics-service-address={grpc}",
        "--metrics-service-grpc-authority=keda-operator.keda.svc",
    ]
    processes.start(layout, "keda-adapter", adapter, environment)
    _serve_metrics(
        running, objects, "external.metrics.k8s.io", "keda-metrics-apiserver", "keda", "keda-adapter"
    )


def _metrics_server(running: Running, objects: Objects) -> None:
    layout, admin = running.layout, running.kubeconfig
    command = [
        str(binaries.program(layout, "metrics-server")),
        f"--kubeconfig={admin}",
        *(f"--{name}-kubeconfig={admin}" for name in ("authentication", "authorization")),
        f"--bind-address={BRIDGE_IP}",
        f"--secure-port={running.ports['metrics-server']}",
        f"--tls-cert-file={layout.pki}/metrics-server.crt",
        f"--tls-private-key-file={layout.pki}/metrics-server.key",
        f"--kubelet-certificate-authority={layout.pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port",
        "--kubelet-request-timeout=5s",
        "--metric-resolution=10s",  # the shortest
    ]
    processes.start(layout, "metrics-server", command)
    _serve_metrics(running, objects, "metrics.k8s.io", "metrics-server", "kube-system", "metrics-server")


def _serve_metrics(
    running: Running, objects: Objects, group: str, service: str, namespace: str, process: str
) -> None:
    """Lead a group of the API to a process beside the cluster, whose port has its name."""
    values = {
        "name": service,
        "namespace": namespace,
        "group": group,
        "port": str(running.ports[process]),
        "address": BRIDGE_IP,
        "authority": base64.b64encode((running.layout.pki / "ca.crt").read_bytes()).decode(),
    }
    objects.apply(load(MANIFESTS / "metrics.yaml", **values))

    def is_served() -> bool:
        found = objects.get("apiregistration.k8s.io/v1", "APIService", f"v1beta1.{group}")
        return condition(found, "Available") == "True"

    eventually(is_served, f"{group} is served (log: {running.layout.log(process)})", _START_S)


def _cert_manager(running: Running, objects: Objects) -> None:
    command = [str(binaries.program(running.layout, "cert-manager"))]
    processes.start(running.layout, "cert-manager", command, _environment(running))


def _metallb(running: Running, objects: Objects) -> None:
    command = [
        str(binaries.program(running.layout, "metallb-controller")),
        "--namespace=metallb-system",
        f"--port={running.ports['metallb']}",
        "--webhook-mode=disabled",
        "--disable-cert-rotation",
    ]
    processes.start(running.layout, "metallb-controller", command, _environment(running))


def _envoy_gateway(running: Running, objects: Objects) -> None:
    program = binaries.program(running.layout, "envoy-gateway")
    if objects.get("v1", "Secret", "envoy-gateway", "envoy-gateway-system") is None:
        environment = _environment(running) | {"ENVOY_GATEWAY_NAMESPACE": "envoy-gateway-system"}
        command = [str(program), "certgen", "--disable-topology-injector"]
        made = subprocess.run(command, env=environment, capture_output=True, text=True)
        if made.returncode != 0:
            raise ClusterError(f"envoy-gateway certgen: {made.stderr.strip()[-2000:]}")
    values = {"blank": running.images["blank"].tag, "programs": str(program.parent)}
    objects.apply(load(MANIFESTS / "envoy-gateway.yaml", **values))

    def is_available() -> bool:
        found: Object | None = objects.get("apps/v1", "Deployment", "envoy-gateway", "envoy-gateway-system")
        return condition(found, "Available") == "True"

    eventually(is_available, "Envoy Gateway is Available", _START_S)


def _environment(running: Running) -> dict[str, str]:
    return os.environ | {"KUBECONFIG": str(running.kubeconfig)}


# By the name of the fixture that asks for it.
OPERATORS = {
    "keda": Operator(binaries.KEDA, "keda", _keda),
    "metrics_server": Operator(binaries.METRICS_SERVER, "kube-system", _metrics_server),
    "cert_manager": Operator(binaries.CERT_MANAGER, "cert-manager", _cert_manager),
    "metallb": Operator(binaries.METALLB, "metallb-system", _metallb),
    "envoy_gateway": Operator(binaries.ENVOY_GATEWAY, "envoy-gateway-system", _envoy_gateway),
}

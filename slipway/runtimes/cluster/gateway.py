"""The tenant gateway of an Endpoint on Kubernetes: Deployment, Service, budget, policy, account.

Belongs here: its objects. Does not: what it does (slipway.gateway), the public side (edge.py).
It calls no Kubernetes API, so its account has no rights and its pods no token.
"""

from __future__ import annotations

from typing import Any

from slipway.catalog.documents import Endpoint
from slipway.catalog.resolved import digest_of
from slipway.runtimes import registry
from slipway.runtimes.rendering import flows, identity, pods, telemetry
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Object, Workload, plain
from slipway.runtimes.rendering.weights_access import node_cache_access

PORT = 8080
ENDPOINT = "slipway.dev/endpoint"

_DRAIN_S = 300
_SPOOL = f"{pods.CACHE}/spool"
_RESOURCES = {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}


def name(endpoint: Endpoint) -> str:
    """Name of all its objects."""
    return f"gateway-{endpoint.name}"


def workload(endpoint: Endpoint, cluster: ClusterSettings) -> Workload:
    """The Deployment, to wait for."""
    return Workload("apps/v1", "Deployment", cluster.gateway.namespace, name(endpoint))


def objects(endpoint: Endpoint, cluster: ClusterSettings) -> list[Object]:
    """All of them, in the order of applying; raises RenderError without an image."""
    return [
        _account(endpoint, cluster),
        _policy(endpoint, cluster),
        *_serving(endpoint, cluster),
        *telemetry.gateway_monitor(
            _metadata(endpoint, cluster),
            pod_labels(endpoint, cluster),
            cluster.gateway_secret,
            cluster,
        ),
    ]


def pod_labels(endpoint: Endpoint, cluster: ClusterSettings) -> dict[str, str]:
    """Labels of its pods; the engines' policies select by those of the cluster's settings."""
    return {**cluster.gateway.labels, ENDPOINT: endpoint.name}


def labels(endpoint: Endpoint, cluster: ClusterSettings) -> dict[str, str]:
    """Ownership labels of all objects of an endpoint; pruning goes by them."""
    return {
        identity.MANAGED_BY: identity.SLIPWAY,
        identity.HOME: cluster.namespace,
        ENDPOINT: endpoint.name,
    }


def _metadata(endpoint: Endpoint, cluster: ClusterSettings) -> Object:
    made = {**labels(endpoint, cluster), **pod_labels(endpoint, cluster)}
    return {"name": name(endpoint), "namespace": cluster.gateway.namespace, "labels": made}


def _account(endpoint: Endpoint, cluster: ClusterSettings) -> Object:
    from kubernetes import client

    made: Object = plain(
        client.V1ServiceAccount(
            api_version="v1",
            kind="ServiceAccount",
            metadata=_metadata(endpoint, cluster),
            automount_service_account_token=False,
        )
    )
    return made


def _policy(endpoint: Endpoint, cluster: ClusterSettings) -> Object:
    """From the edge's proxies and those who measure; to engines anywhere, the store and the database."""
    known = [sender for sender in (cluster.edge, cluster.prometheus, *cluster.operators) if sender]
    senders = {"from": [flows.peer(sender) for sender in known]} if cluster.edge is not None else {}
    engines = {
        "to": [
            {
                "namespaceSelector": {},
                "podSelector": {"matchExpressions": [{"key": identity.INSTANCE, "operator": "Exists"}]},
            }
        ]
    }
    # A runtime with a namespace of its own has a proxy there.
    proxies = [
        {"to": [{"namespaceSelector": {"matchLabels": {flows.NAMESPACE_NAME: home}}}]}
        for home in registry.homes(cluster)
    ]
    egress = [flows.dns_flow(), flows.store_flow(cluster), engines, *proxies]
    if cluster.tenants_db_url is not None:
        egress.append(flows.url_flow(cluster.tenants_db_url))
    return flows.policy(
        _metadata(endpoint, cluster),
        pod_labels(endpoint, cluster),
        ingress=[{**senders, "ports": flows.tcp(PORT)}],
        egress=egress,
    )


def _serving(endpoint: Endpoint, cluster: ClusterSettings) -> list[Object]:
    from kubernetes import client

    metadata, selected = _metadata(endpoint, cluster), pod_labels(endpoint, cluster)
    pod = _pod(endpoint, cluster, selected)
    # As on engines' pods: waiting ends when the pods that are ready are of this very spec.
    noted = {"labels": selected, "annotations": {identity.SPEC_DIGEST: digest_of(pod)}}
    service = client.V1Service(
        api_version="v1",
        kind="Service",
        metadata=metadata,
        spec={
            "selector": selected,
            "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    )
    budget = client.V1PodDisruptionBudget(
        api_version="policy/v1",
        kind="PodDisruptionBudget",
        metadata=metadata,
        spec={"maxUnavailable": 1, "selector": {"matchLabels": selected}},
    )
    deployment = client.V1Deployment(
        api_version="apps/v1",
        kind="Deployment",
        metadata=metadata,
        spec={
            "replicas": endpoint.gateway_replicas,
            "selector": {"matchLabels": selected},
            # A new replica before an old one goes: requests always find one.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": noted, "spec": pod},
        },
    )
    return [plain(each) for each in (deployment, service, budget)]


def _pod(endpoint: Endpoint, cluster: ClusterSettings, selected: dict[str, str]) -> Object:
    pull = [{"name": secret} for secret in cluster.pull_secrets]
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selected},
    }
    return {
        "serviceAccountName": name(endpoint),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pods.pod_security(),
        # Requests end, then what they used is shipped.
        "terminationGracePeriodSeconds": _DRAIN_S + 30,
        "topologySpreadConstraints": [spread],
        "containers": [_container(endpoint, cluster)],
        "volumes": [{"name": "cache", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        **({"imagePullSecrets": pull} if pull else {}),
    }


def _container(endpoint: Endpoint, cluster: ClusterSettings) -> Object:
    if cluster.slipway_image is None:
        raise RenderError(
            f"endpoints[{endpoint.name}]: its gateway runs Slipway's own image, and the cluster's settings "
            "name none. Give slipway_image, by digest, in the file that SLIPWAY_KUBE_SETTINGS names."
        )

    def probe(path: str, failures: int) -> Object:
        get = {"path": path, "port": "http"}
        return {"httpGet": get, "periodSeconds": 2, "failureThreshold": failures, "timeoutSeconds": 2}

    return {
        "name": "gateway",
        "image": cluster.slipway_image,
        "command": ["python", "-m", "slipway.gateway"],
        "env": _environment(endpoint, cluster),
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "resources": _RESOURCES,
        "securityContext": pods.container_security(),
        "readinessProbe": probe("/-/ready", 2),
        "livenessProbe": probe("/-/health", 15),
        # Its address leaves the Service first; then it drains.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "volumeMounts": pods.mounts(),
    }


def _environment(endpoint: Endpoint, cluster: ClusterSettings) -> list[Object]:
    access = node_cache_access(cluster.store, f"{pods.CACHE}/weights", None)
    settings = {
        **pods.home_environment(),
        **access.env,
        "SLIPWAY_GATEWAY_HOST": "0.0.0.0",  # noqa: S104 (a pod has its own)
        "SLIPWAY_GATEWAY_PORT": str(PORT),
        "SLIPWAY_GATEWAY_ENDPOINT": endpoint.name,
        "SLIPWAY_GATEWAY_SPOOL": _SPOOL,
        "SLIPWAY_GATEWAY_DRAIN_S": str(_DRAIN_S),
    }
    env: list[Any] = pods.env_list(settings, access.secret_env)
    # A replica's name is part of the names of its usage objects, so each pod has its own.
    env.append({"name": "SLIPWAY_GATEWAY_REPLICA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    for variable, key in (("SLIPWAY_GATEWAY_TOKEN", "token"), ("SLIPWAY_TENANTS_DB", "tenants-db")):
        reference = {"name": cluster.gateway_secret, "key": key}
        env.append({"name": variable, "valueFrom": {"secretKeyRef": reference}})
    return env

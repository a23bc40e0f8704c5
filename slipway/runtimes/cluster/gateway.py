"""The tenant gateway of an Endpoint on Kubernetes: StatefulSet, Service, budget, policy, account.

Belongs here: its objects. Does not: what it does (slipway.gateway), the public side (edge.py).
It calls no Kubernetes API, so its account has no rights and its pods no token.

Each replica keeps its spool on a volume of its own, which survives the pod: usage that could not be shipped
when it ended is shipped by the next pod of that name. So it is a StatefulSet.
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
METRICS_PORT = 9464
ENDPOINT = "slipway.dev/endpoint"

_DRAIN_S = 300
_UNROUTED_S = 5
# From the signal on: requests end, then what they used is shipped.
_STOP_S = _DRAIN_S + 25
GRACE_S = _UNROUTED_S + _STOP_S
_VOLUME = "spool"
_MOUNT = "/spool"
# Not the volume's root: file systems keep things of their own there.
_SPOOL = f"{_MOUNT}/events"
_RESOURCES = {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}


def name(endpoint: Endpoint) -> str:
    """Name of all its objects."""
    return f"gateway-{endpoint.name}"


def workload(endpoint: Endpoint, cluster: ClusterSettings) -> Workload:
    """The StatefulSet, to wait for."""
    return Workload("apps/v1", "StatefulSet", cluster.gateway.namespace, name(endpoint))


def objects(endpoint: Endpoint, cluster: ClusterSettings) -> list[Object]:
    """All of them, in the order of applying; raises RenderError without an image."""
    return [
        _account(endpoint, cluster),
        _policy(endpoint, cluster),
        *_serving(endpoint, cluster),
        *telemetry.gateway_monitor(
            _metadata(endpoint, cluster),
            pod_labels(endpoint, cluster),
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
    """From the edge's proxies, and to its metrics from Prometheus alone; to engines, store and database."""
    known = [sender for sender in (cluster.edge, *cluster.operators) if sender]
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
    ingress: list[Object] = [{**senders, "ports": flows.tcp(PORT)}]
    if cluster.prometheus is not None:
        ingress.append({"from": [flows.peer(cluster.prometheus)], "ports": flows.tcp(METRICS_PORT)})
    egress = [flows.dns_flow(), flows.store_flow(cluster), engines, *proxies]
    if cluster.tenants_db_url is not None:
        egress.append(flows.url_flow(cluster.tenants_db_url))
    return flows.policy(
        _metadata(endpoint, cluster),
        pod_labels(endpoint, cluster),
        ingress=ingress,
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
    replicas = client.V1StatefulSet(
        api_version="apps/v1",
        kind="StatefulSet",
        metadata=metadata,
        spec={
            "replicas": endpoint.gateway_replicas,
            "serviceName": name(endpoint),
            "selector": {"matchLabels": selected},
            # In order, a replica that is never ready would hold up its own repair.
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate"},
            # What is on it and not shipped is money: a volume goes when a person removes it.
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "template": {"metadata": noted, "spec": pod},
            "volumeClaimTemplates": [_claim(cluster)],
        },
    )
    return [plain(each) for each in (replicas, service, budget)]


def _claim(cluster: ClusterSettings) -> Object:
    storage_class = cluster.gateway_spool_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": _VOLUME},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": cluster.gateway_spool_size}},
            **({} if storage_class is None else {"storageClassName": storage_class}),
        },
    }


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
        "terminationGracePeriodSeconds": GRACE_S,
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
        "ports": [
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            # In no Service, and in the policy for Prometheus alone.
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "resources": _RESOURCES,
        "securityContext": pods.container_security(),
        "readinessProbe": probe("/-/ready", 2),
        "livenessProbe": probe("/-/health", 15),
        # Its address leaves the Service first; then it drains.
        "lifecycle": {"preStop": {"sleep": {"seconds": _UNROUTED_S}}},
        "volumeMounts": [*pods.mounts(), {"name": _VOLUME, "mountPath": _MOUNT}],
    }


def _environment(endpoint: Endpoint, cluster: ClusterSettings) -> list[Object]:
    access = node_cache_access(cluster.store, f"{pods.CACHE}/weights", None)
    settings = {
        **pods.home_environment(),
        **access.env,
        "SLIPWAY_GATEWAY_HOST": "0.0.0.0",  # noqa: S104 (a pod has its own)
        "SLIPWAY_GATEWAY_PORT": str(PORT),
        "SLIPWAY_GATEWAY_METRICS_HOST": "0.0.0.0",  # noqa: S104
        "SLIPWAY_GATEWAY_METRICS_PORT": str(METRICS_PORT),
        "SLIPWAY_GATEWAY_ENDPOINT": endpoint.name,
        "SLIPWAY_GATEWAY_SPOOL": _SPOOL,
        "SLIPWAY_GATEWAY_DRAIN_S": str(_DRAIN_S),
        "SLIPWAY_GATEWAY_STOP_S": str(_STOP_S),
    }
    env: list[Any] = pods.env_list(settings, access.secret_env)
    # A replica's name is part of the names of its usage objects, so each pod has its own.
    env.append({"name": "SLIPWAY_GATEWAY_REPLICA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    for variable, key in (("SLIPWAY_GATEWAY_TOKEN", "token"), ("SLIPWAY_TENANTS_DB", "tenants-db")):
        reference = {"name": cluster.gateway_secret, "key": key}
        env.append({"name": variable, "valueFrom": {"secretKeyRef": reference}})
    return env

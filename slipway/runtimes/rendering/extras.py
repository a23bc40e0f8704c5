"""What a deployment adds to its pods: volumes, authorities, placement, claims of devices, its own probes.

Belongs here: the same words for every runtime that takes them; nothing where nothing is written.
Does not: what every pod has (pods.py), what a runtime cannot say (refusing.py, its room).
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.catalog.deployment import Deployment
from slipway.catalog.pods import Probe, Volume
from slipway.runtimes.rendering.rendered import Object

SHARED_MEMORY = "8Gi"
_CA_DIRECTORY = "/etc/slipway/ca"


def shared_memory(deployment: Deployment) -> str:
    """Size of /dev/shm."""
    return deployment.resources.shared_memory or SHARED_MEMORY


def volumes(deployment: Deployment) -> list[Object]:
    """Of the pod."""
    added = [_volume(n, volume) for n, volume in enumerate(deployment.volumes)]
    if deployment.ca is not None:
        added.append({"name": "ca", "configMap": {"name": deployment.ca.config_map}})
    return added


def mounts(deployment: Deployment) -> list[Object]:
    """Of the engine's container."""
    added: list[Object] = [
        {
            "name": f"extra-{n}",
            "mountPath": volume.mount_path,
            **({"readOnly": True} if volume.read_only else {}),
        }
        for n, volume in enumerate(deployment.volumes)
    ]
    if deployment.ca is not None:
        added.append({"name": "ca", "mountPath": _CA_DIRECTORY, "readOnly": True})
    return added


def environment(deployment: Deployment) -> dict[str, str]:
    """Where libraries look for authorities: OpenSSL, requests, curl, the AWS SDKs."""
    if deployment.ca is None:
        return {}
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
    return dict.fromkeys(names, f"{_CA_DIRECTORY}/{deployment.ca.key}")


def affinity(deployment: Deployment) -> Object:
    """Rules about nodes, in Kubernetes' words; empty without any."""
    rules = [
        {"key": rule.key, "operator": rule.operator, **({"values": list(rule.values)} if rule.values else {})}
        for rule in deployment.placement.node_affinity
    ]
    if not rules:
        return {}
    terms = {"nodeSelectorTerms": [{"matchExpressions": rules}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def of_pod(deployment: Deployment, labels: Mapping[str, str]) -> Object:
    """Fields of a pod's spec; `labels` are those of its replicas, which are spread."""
    spread = [
        {
            "topologyKey": rule.over,
            "maxSkew": rule.max_skew,
            "whenUnsatisfiable": "DoNotSchedule" if rule.required else "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(labels)},
        }
        for rule in deployment.placement.spread
    ]
    claims = [
        {"name": f"device-{n}", "resourceClaimTemplateName": template}
        for n, template in enumerate(deployment.resources.device_claims)
    ]
    fields: Object = {
        "affinity": affinity(deployment),
        "topologySpreadConstraints": spread,
        "priorityClassName": deployment.placement.priority_class,
        "resourceClaims": claims,
    }
    return {name: value for name, value in fields.items() if value}


def claims(deployment: Deployment) -> list[Object]:
    """`claims` of a container's resources."""
    return [{"name": f"device-{n}"} for n in range(len(deployment.resources.device_claims))]


def probes(deployment: Deployment, port: int | str, path: str = "/health") -> Object:
    """Probes of a container whose runtime has others by default: those that are written, whole."""
    written = {
        "startupProbe": deployment.probes.startup,
        "readinessProbe": deployment.probes.readiness,
        "livenessProbe": deployment.probes.liveness,
    }
    asked = {"httpGet": {"path": path, "port": port}}
    return {name: over(asked, probe) for name, probe in written.items() if probe is not None}


def over(default: Object, probe: Probe | None) -> Object:
    """A probe with what is written in place of its defaults."""
    if probe is None:
        return default
    numbers = {
        "initialDelaySeconds": probe.initial_delay_s,
        "periodSeconds": probe.period_s,
        "timeoutSeconds": probe.timeout_s,
        "failureThreshold": probe.failures,
    }
    asked = {**default["httpGet"], **({"path": probe.path} if probe.path is not None else {})}
    given = {name: number for name, number in numbers.items() if number is not None}
    return {**default, "httpGet": asked, **given}


def _volume(n: int, volume: Volume) -> Object:
    name = f"extra-{n}"
    if volume.claim is not None:
        read_only = {"readOnly": True} if volume.read_only else {}
        return {"name": name, "persistentVolumeClaim": {"claimName": volume.claim, **read_only}}
    if volume.config_map is not None:
        return {"name": name, "configMap": {"name": volume.config_map}}
    return {"name": name, "secret": {"secretName": volume.secret}}

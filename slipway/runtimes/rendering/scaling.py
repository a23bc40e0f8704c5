"""Who changes a plain workload's replicas: a HorizontalPodAutoscaler, or KEDA where requests count.

Belongs here: both objects, for anything with a scale subresource. Does not: runtimes that scale themselves.
Behaviour: Kubernetes' HPA v2; KEDA's ScaledObject with the scalers cpu, memory, prometheus and metrics-api.
"""

from __future__ import annotations

import math

from slipway.catalog.deployment import Autoscaling, Deployment
from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.servers import SERVERS
from slipway.runtimes.rendering import identity
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, RenderError
from slipway.runtimes.rendering.rendered import Address, Object, Workload, plain

LONGEST_WINDOW_S = 3600  # of an HPA's stabilization
POLLING_S = 5


def scaler(
    resolved: ResolvedDeployment, cluster: ClusterSettings, target: Workload, address: Address
) -> list[Object]:
    """The object that scales `target`; none without autoscaling."""
    scaling = resolved.deployment.autoscaling
    if scaling is None:
        return []
    if needs_keda(scaling):
        return [_scaled_object(resolved, scaling, cluster, target, address)]
    return [_pod_autoscaler(resolved, scaling, cluster, target)]


def needs_keda(scaling: Autoscaling) -> bool:
    """Whether requests decide; Kubernetes' own autoscaler sees CPU and memory, and never goes to zero."""
    target = scaling.target
    return target.ongoing_requests is not None or target.queue_depth is not None or scaling.idle == "zero"


def resource_metrics(scaling: Autoscaling) -> list[Object]:
    """Metrics of an HPA on CPU and memory, as percent of what is requested."""
    wanted = {"cpu": scaling.target.cpu_percent, "memory": scaling.target.memory_percent}
    return [
        {
            "type": "Resource",
            "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}},
        }
        for name, percent in wanted.items()
        if percent is not None
    ]


def behavior(scaling: Autoscaling) -> Object:
    """The delays: load must last for a whole window before replicas follow."""
    up, down = math.ceil(scaling.upscale_delay_s), math.ceil(scaling.downscale_delay_s)
    return {
        "scaleUp": {"stabilizationWindowSeconds": up},
        "scaleDown": {"stabilizationWindowSeconds": down},
    }


def triggers(
    resolved: ResolvedDeployment, scaling: Autoscaling, cluster: ClusterSettings, address: Address
) -> list[Object]:
    """KEDA's triggers, one per target; raises RenderError where nothing measures what is asked for."""
    if scaling.idle == "zero" and cluster.prometheus_url is None:
        raise RenderError.at(
            resolved.name,
            "autoscaling.idle = zero: only the gateway's metrics tell that a "
            "request waits for a deployment without replicas. Connect a Prometheus that scrapes it, or set "
            "idle to keep.",
        )
    chosen: list[Object] = []
    for name, percent in (("cpu", scaling.target.cpu_percent), ("memory", scaling.target.memory_percent)):
        if percent is not None:
            chosen.append({"type": name, "metricType": "Utilization", "metadata": {"value": str(percent)}})
    if scaling.target.ongoing_requests is not None:
        goal = f"{scaling.target.ongoing_requests:g}"
        chosen.append(_ongoing(resolved, cluster, address, goal))
    if scaling.target.queue_depth is not None:
        chosen.append(_waiting(resolved, cluster, address, str(scaling.target.queue_depth)))
    return chosen


def _ongoing(resolved: ResolvedDeployment, cluster: ClusterSettings, address: Address, goal: str) -> Object:
    if cluster.prometheus_url is not None:
        return prometheus_trigger(cluster.prometheus_url, ongoing_query(resolved), goal)
    if SERVERS[resolved.engine.server].is_ours:
        return _engine_trigger(address, "/-/load", "ongoing", goal)
    return _engine_trigger(address, "/load", "server_load", goal)


def _waiting(resolved: ResolvedDeployment, cluster: ClusterSettings, address: Address, goal: str) -> Object:
    ours = SERVERS[resolved.engine.server].is_ours
    if cluster.prometheus_url is not None:
        metric = "slipway_engine_requests_waiting" if ours else "vllm:num_requests_waiting"
        return prometheus_trigger(cluster.prometheus_url, _of_pods(metric, resolved, address), goal)
    if ours:
        return _engine_trigger(address, "/-/load", "waiting", goal)
    raise RenderError.at(
        resolved.name,
        "autoscaling.target.queue_depth: vLLM tells it to Prometheus alone. "
        "Connect one, or use ongoing_requests.",
    )


def ongoing_query(resolved: ResolvedDeployment) -> str:
    """Requests in flight or held at the gateways for one revision; 0 when none was ever seen."""
    revision = resolved.spec_digest[:8]
    chosen = f'{{deployment="{resolved.name}",revision="{revision}"}}'
    return f"sum(slipway_gateway_requests_in_flight{chosen}) or vector(0)"


def _of_pods(metric: str, resolved: ResolvedDeployment, address: Address) -> str:
    pod = f"{identity.object_name(resolved)}-.*"
    return f'sum({metric}{{namespace="{address.namespace}",pod=~"{pod}"}}) or vector(0)'


def prometheus_trigger(server: str, query: str, goal: str) -> Object:
    """A trigger whose query gives the whole; KEDA divides it by the replicas."""
    return {
        "type": "prometheus",
        "metadata": {"serverAddress": server, "query": query, "threshold": goal},
    }


def _engine_trigger(address: Address, path: str, location: str, goal: str) -> Object:
    """KEDA asks every pod behind the Service and adds the answers."""
    return {
        "type": "metrics-api",
        "metadata": {
            "url": f"http://{address.service}.{address.namespace}.svc:{address.port}{path}",
            "valueLocation": location,
            "targetValue": goal,
            "aggregateFromKubeServiceEndpoints": "true",
            "aggregationType": "sum",
        },
    }


def _scaled_object(
    resolved: ResolvedDeployment,
    scaling: Autoscaling,
    cluster: ClusterSettings,
    target: Workload,
    address: Address,
) -> Object:
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": identity.metadata(resolved, cluster, target.name),
        "spec": {
            "scaleTargetRef": {"apiVersion": target.api_version, "kind": target.kind, "name": target.name},
            "pollingInterval": POLLING_S,
            # How long no request must have been there before the last replica goes.
            "cooldownPeriod": math.ceil(scaling.idle_after_s),
            # A new revision has one replica for its validation, and has had no request yet.
            "initialCooldownPeriod": math.ceil(resolved.deployment.rollout.deadline_s),
            "minReplicaCount": 0 if scaling.idle == "zero" else scaling.min_replicas,
            "maxReplicaCount": scaling.max_replicas,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior(scaling)}},
            "triggers": triggers(resolved, scaling, cluster, address),
        },
    }


def _pod_autoscaler(
    resolved: ResolvedDeployment, scaling: Autoscaling, cluster: ClusterSettings, target: Workload
) -> Object:
    from kubernetes import client

    spec = client.V2HorizontalPodAutoscalerSpec(
        scale_target_ref=client.V2CrossVersionObjectReference(
            api_version=target.api_version, kind=target.kind, name=target.name
        ),
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        metrics=resource_metrics(scaling),
        behavior=behavior(scaling),
    )
    made: Object = plain(
        client.V2HorizontalPodAutoscaler(
            api_version="autoscaling/v2",
            kind="HorizontalPodAutoscaler",
            metadata=identity.metadata(resolved, cluster, target.name),
            spec=spec,
        )
    )
    return made


def refused(deployment: Deployment) -> dict[str, tuple[bool, str]]:
    """What an HPA, KEDA's included, cannot do."""
    scaling = deployment.autoscaling
    if scaling is None:
        return {"replicas": (deployment.replicas < 1, "is 0. Use autoscaling with idle: zero")}
    requests, target = deployment.resources.requests, scaling.target
    by_requests = target.ongoing_requests is not None or target.queue_depth is not None
    too_long = f"is more than {LONGEST_WINDOW_S}, the longest that Kubernetes remembers. Lower it"
    return {
        "autoscaling.min_replicas": (
            scaling.min_replicas < 1 and scaling.idle != "zero",
            "is 0 while idle is not zero. Set idle to zero, or min_replicas to 1",
        ),
        "autoscaling.idle": (
            scaling.idle == "zero" and not by_requests,
            "is zero, and CPU or memory tell nothing of a request that waits. Add target.ongoing_requests",
        ),
        "autoscaling.target.cpu_percent": (
            target.cpu_percent is not None and requests.cpu is None,
            "is a part of what is requested. Give resources.requests.cpu",
        ),
        "autoscaling.target.memory_percent": (
            target.memory_percent is not None and requests.memory is None,
            "is a part of what is requested. Give resources.requests.memory",
        ),
        "autoscaling.upscale_delay_s": (scaling.upscale_delay_s > LONGEST_WINDOW_S, too_long),
        "autoscaling.downscale_delay_s": (scaling.downscale_delay_s > LONGEST_WINDOW_S, too_long),
    }

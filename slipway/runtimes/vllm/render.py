"""Runtime `vllm`: an engine in a plain Deployment, or a LeaderWorkerSet where a replica spans nodes.

Belongs here: the workload, its Service, who may reach it and who scales it; what cannot be honoured.
Does not: the pod (slipway.runtimes.rendering.pods), what runs in it (programs.py).
"""

from __future__ import annotations

from typing import Any

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.servers import OURS, VLLM
from slipway.runtimes.rendering import flows, identity, pods, public, refusing, scaling, telemetry
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Address, Object, Rendered, plain, workload_of
from slipway.runtimes.vllm import leaderworkerset, programs

SERVERS = (*OURS, VLLM)


def render(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Rendered:
    """The objects of one revision; raises RenderError where the cluster's settings lack something."""
    program, init = (
        programs.program(resolved, cluster),
        programs.init_containers(resolved, cluster),
    )
    if resolved.deployment.nodes_per_replica > 1:
        workload = leaderworkerset.workload(resolved, cluster, program, init)
        serving = leaderworkerset.serving_pods(resolved)
    else:
        workload = _deployment(resolved, cluster, pods.template(resolved, cluster, program, init))
        serving = identity.selector(resolved)
    address = Address(identity.namespace(resolved, cluster), identity.object_name(resolved), pods.PORT)
    return Rendered(
        workload=workload_of(workload),
        objects=(
            flows.engine_policy(resolved, cluster, identity.selector(resolved), (pods.PORT,)),
            workload,
            service(resolved, cluster, address.service, serving),
            _disruption_budget(resolved, cluster),
            *scaling.scaler(resolved, cluster, workload_of(workload), address),
            *telemetry.pod_monitor(resolved, cluster, serving, pods.PORT_NAME),
        ),
        address=address,
        public=tuple(public.objects(resolved, cluster, address, serving)),
    )


def service(
    resolved: ResolvedDeployment, cluster: ClusterSettings, name: str, selected: dict[str, str]
) -> Object:
    """A Service over the pods with these labels."""
    from kubernetes import client

    spec = client.V1ServiceSpec(
        selector=selected,
        ports=[{"name": pods.PORT_NAME, "port": pods.PORT, "targetPort": pods.PORT_NAME, "protocol": "TCP"}],
    )
    metadata = identity.metadata(resolved, cluster, name)
    made: Object = plain(client.V1Service(api_version="v1", kind="Service", metadata=metadata, spec=spec))
    return made


def _deployment(resolved: ResolvedDeployment, cluster: ClusterSettings, template: Object) -> Object:
    from kubernetes import client

    deployment = resolved.deployment
    surge = deployment.rollout.surge
    rolling = {"maxSurge": surge, "maxUnavailable": 0 if surge else 1}
    spec = client.V1DeploymentSpec(
        # An autoscaler's number is never ours to set.
        replicas=deployment.replicas if deployment.autoscaling is None else None,
        selector={"matchLabels": identity.selector(resolved)},
        strategy={"type": "RollingUpdate", "rollingUpdate": rolling},
        progress_deadline_seconds=pods.deadline_s(resolved),
        revision_history_limit=2,  # Slipway keeps its own revisions
        template=template,
    )
    made: Object = plain(
        client.V1Deployment(
            api_version="apps/v1",
            kind="Deployment",
            metadata=identity.metadata(resolved, cluster),
            spec=spec,
        )
    )
    return made


def _disruption_budget(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    """A node's drain takes one replica at a time."""
    from kubernetes import client

    spec = client.V1PodDisruptionBudgetSpec(
        max_unavailable=1, selector={"matchLabels": identity.selector(resolved)}
    )
    made: Object = plain(
        client.V1PodDisruptionBudget(
            api_version="policy/v1",
            kind="PodDisruptionBudget",
            metadata=identity.metadata(resolved, cluster),
            spec=spec,
        )
    )
    return made


def refusals(deployment: Deployment, engine: Engine | None = None) -> list[tuple[str, str]]:
    """(field, reason) for everything in a deployment that a plain workload cannot honour."""
    refused: dict[str, tuple[bool, Any]] = {
        **scaling.refused(deployment),
        **refusing.of_a_pod(deployment),
        **refusing.of_pods(
            deployment, {"files": refusing.FILES, "max_ongoing_requests": refusing.ONGOING}, refusing.POD
        ),
        **refusing.of_parallelism(deployment, "", refusing.DIVISIONS, engine.server if engine else None),
    }
    ours = refusing.of_ours(deployment, engine.server if engine else None)
    refused |= {field: rule for field, rule in ours.items() if rule[0]}
    refused["engine"] = (
        engine is not None and engine.server not in SERVERS,
        f"is {engine.server if engine else ''}, and a plain pod runs {' or '.join(SERVERS)}. Name another",
    )
    return [*refusing.only(refused), *refusing.of_engine(deployment, engine.server if engine else None)]

"""A replica over several nodes: a LeaderWorkerSet, one group of pods per replica.

Belongs here: the group's two pod templates and how vLLM's processes find each other.
Does not: one replica on one node (render.py).
Fields: leaderworkerset.x-k8s.io/v1. Flags: vLLM's multi-node mode (`--nnodes`, `--headless`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.rendering import identity, pods
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object

# Set by the controller: on pods as a label, in their environment as variables that arguments may name.
WORKER_INDEX = "leaderworkerset.sigs.k8s.io/worker-index"
_GROUP = (
    "--nnodes=$(LWS_GROUP_SIZE)",
    "--node-rank=$(LWS_WORKER_INDEX)",
    "--master-addr=$(LWS_LEADER_ADDRESS)",
)


def serving_pods(resolved: ResolvedDeployment) -> dict[str, str]:
    """Labels of the pods that answer requests: the leaders."""
    return {**identity.selector(resolved), WORKER_INDEX: "0"}


def workload(
    resolved: ResolvedDeployment,
    cluster: ClusterSettings,
    program: pods.Program,
    init: Sequence[Object],
) -> Object:
    """The LeaderWorkerSet of one revision."""
    deployment = resolved.deployment
    leading = replace(program, args=[*program.args, *_GROUP])
    following = replace(leading, args=[*leading.args, "--headless"], serves=False, drain=None)
    spec: Object = {
        "startupPolicy": "LeaderCreated",
        "rolloutStrategy": {
            "type": "RollingUpdate",
            "rollingUpdateConfiguration": {
                "maxSurge": deployment.rollout.surge,
                "maxUnavailable": 0 if deployment.rollout.surge else 1,
            },
        },
        "leaderWorkerTemplate": {
            "size": deployment.nodes_per_replica,
            # One process lost is the whole replica lost: tensors are spread over all of them.
            "restartPolicy": "RecreateGroupOnPodRestart",
            "leaderTemplate": pods.template(resolved, cluster, leading, init),
            "workerTemplate": pods.template(resolved, cluster, following, init),
        },
    }
    if deployment.autoscaling is None:
        spec["replicas"] = deployment.replicas
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": identity.metadata(resolved, cluster),
        "spec": spec,
    }

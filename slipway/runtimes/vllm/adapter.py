"""What an engine in plain pods says of itself as a runtime.

Belongs here: the adapter, and how it limits names. Does not: what it makes (render.py), judging.
"""

from __future__ import annotations

from slipway.catalog.deployment import Deployment
from slipway.catalog.servers import VLLM
from slipway.runtimes.adapter import LONGEST_NAME, Adapter, OnKubernetes
from slipway.runtimes.vllm import leaderworkerset_judge, render
from slipway.runtimes.workload import DEPLOYMENT, WorkloadKind, at_zero_replicas

# A LeaderWorkerSet's groups are StatefulSets `<revision>-<group>`, whose pods are labelled with
# `<StatefulSet>-<hash>`: 40, with `-<8 hex>`, `-<up to 99>` and `-<10>`, make 63.
_LONGEST_LEADER_NAME = 40


def _longest_name(deployment: Deployment) -> int:
    return _LONGEST_LEADER_NAME if deployment.nodes_per_replica > 1 else LONGEST_NAME


ADAPTER = Adapter(
    servers=frozenset(render.SERVERS),
    streams={VLLM: "store"},
    refusals=render.refusals,
    longest_name=_longest_name,
    kubernetes=OnKubernetes(
        render=render.render,
        workloads=(
            DEPLOYMENT,
            WorkloadKind(
                api_version="leaderworkerset.x-k8s.io/v1",
                kind="LeaderWorkerSet",
                resource="leaderworkersets",
                judge=leaderworkerset_judge.JUDGE,
                park=at_zero_replicas,
                is_scaled=True,
            ),
        ),
    ),
)

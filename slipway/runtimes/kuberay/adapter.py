"""What KubeRay says of itself as a runtime.

Belongs here: the adapter. Does not: the RayService (render.py), judging it (judge.py), what is particular
about sharing one (sharing.py).
"""

from __future__ import annotations

from slipway.catalog.servers import OURS, VLLM
from slipway.runtimes.adapter import Adapter, OnKubernetes
from slipway.runtimes.arguments import owned
from slipway.runtimes.kuberay import dashboard, judge, render, sharing
from slipway.runtimes.workload import OwnWord, Shared, WorkloadKind

# With `-<8 hex>`, and what Ray makes of an application's name.
_LONGEST_NAME = 41

ADAPTER = Adapter(
    servers=frozenset({*OURS, VLLM}),
    # Ray Serve LLM's ingress: ray/llm/_internal/serve/core/ingress/ingress.py of Ray 2.60.
    tasks={VLLM: frozenset({"text-generation", "embedding", "rerank", "speech-to-text"})},
    streams={VLLM: "store"},
    refusals=render.refusals,
    owns=owned.Owns(
        {"distributed-executor-backend": "is Ray Serve LLM's to choose. Remove it"},
        {"VLLM_RAY_PER_WORKER_GPUS": "is the share of a card. Set resources.gpu.fraction"},
    ),
    longest_name=lambda _: _LONGEST_NAME,
    kubernetes=OnKubernetes(
        render=render.render,
        render_beside=render.render,
        workloads=(
            # It is shared, so it cannot be parked.
            WorkloadKind(
                api_version="ray.io/v1",
                kind="RayService",
                resource="rayservices",
                judge=judge.JUDGE,
                # KubeRay writes it back with its worker groups.
                operator_writes=(".spec.rayClusterConfig.workerGroupSpecs",),
                own_word=OwnWord(dashboard.head_pod, dashboard.PORT, dashboard.SERVE),
                shared=Shared(sharing.revisions, sharing.endpoint, sharing.without),
            ),
        ),
        reads=(("ray.io", "rayclusters"),),
    ),
)

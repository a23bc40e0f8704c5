"""What KubeAI says of itself as a runtime.

Belongs here: the adapter, and how its models are parked. Does not: the Model (render.py), judging it
(judge.py).
"""

from __future__ import annotations

from slipway.catalog.fields import Task
from slipway.catalog.servers import VLLM
from slipway.runtimes.adapter import Adapter, OnKubernetes
from slipway.runtimes.judging.objects import Object
from slipway.runtimes.kubeai import judge, refusals, render
from slipway.runtimes.workload import WorkloadKind

# With `-<8 hex>`, KubeAI's Models have at most 40 characters.
_LONGEST_NAME = 31
# Its proxy knows five paths: internal/openaiserver/handler.go of kubeai-project/kubeai.
_PROXIED: frozenset[Task] = frozenset({"text-generation", "embedding", "rerank", "speech-to-text"})


def _park(model: Object) -> None:
    """The number of replicas is the operator's; the bounds are ours."""
    model["spec"].update(minReplicas=0, maxReplicas=0)


ADAPTER = Adapter(
    servers=frozenset(render.ENGINES),
    tasks=dict.fromkeys(render.ENGINES, _PROXIED),
    streams={VLLM: "store"},
    refusals=refusals.refusals,
    longest_name=lambda _: _LONGEST_NAME,
    # Its list of models tells of text generation alone, unless it is asked for more.
    listing={task: {"feature": name} for task, name in render.FEATURES.items() if task != "text-generation"},
    kubernetes=OnKubernetes(
        render=render.render,
        workloads=(
            WorkloadKind(
                api_version="kubeai.org/v1",
                kind="Model",
                resource="models",
                judge=judge.JUDGE,
                park=_park,
                is_scaled=True,
            ),
        ),
        # Models live beside KubeAI itself.
        namespace=lambda cluster: cluster.kubeai.namespace,
    ),
)

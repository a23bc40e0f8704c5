"""What NVIDIA's Dynamo says of itself as a runtime.

Belongs here: the adapter. Does not: the graph (render.py), judging it (judge.py).
"""

from __future__ import annotations

from slipway.catalog.servers import VLLM
from slipway.runtimes.adapter import Adapter, Example, OnKubernetes
from slipway.runtimes.arguments import owned
from slipway.runtimes.dynamo import judge, refusals, render
from slipway.runtimes.workload import Kind, WorkloadKind

# With `-<8 hex>` and `-frontend`.
_LONGEST_NAME = 45

ADAPTER = Adapter(
    servers=frozenset({"dynamo", VLLM}),
    passes_salts=False,  # its frontend refuses fields that it does not know
    # Its frontend: docs.nvidia.com/dynamo, components/frontend.
    tasks={VLLM: frozenset({"text-generation", "embedding"})},
    streams={"dynamo": "disk", VLLM: "disk"},
    refusals=refusals.refusals,
    owns=owned.Owns(
        dict.fromkeys(("namespace", "endpoint", "endpoint-types", "discovery-backend"), owned.ADDRESS),
        {
            "DYN_LORA_ENABLED": owned.ADAPTERS,
            **dict.fromkeys(("DYN_SYSTEM_PORT", "DYN_NAMESPACE"), owned.ADDRESS),
        },
    ),
    longest_name=lambda _: _LONGEST_NAME,
    kubernetes=OnKubernetes(
        render=render.render,
        workloads=(
            # A worker always stays, so it cannot be parked.
            WorkloadKind(
                api_version="nvidia.com/v1beta1",
                kind="DynamoGraphDeployment",
                resource="dynamographdeployments",
                judge=judge.JUDGE,
            ),
        ),
        kinds=(Kind("nvidia.com/v1alpha1", "DynamoModel", "dynamomodels", "with routes"),),
        # Its operator's pods do not say all that `restricted` asks for.
        pod_security="baseline",
    ),
    example=Example(server="dynamo", fields={"resources": {"gpu": {}}}),
)

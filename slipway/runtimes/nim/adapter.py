"""What NVIDIA's NIM operator says of itself as a runtime.

Belongs here: the adapter, and how its services are parked. Does not: its objects (render.py), judging
(judge.py).
"""

from __future__ import annotations

from slipway.runtimes.adapter import Adapter, Example, OnKubernetes
from slipway.runtimes.arguments import owned
from slipway.runtimes.judging.objects import Object
from slipway.runtimes.nim import judge, render
from slipway.runtimes.workload import Kind, WorkloadKind, at_zero_replicas


def _park(service: Object) -> None:
    """Replicas and an autoscaler exclude each other."""
    at_zero_replicas(service)
    if "scale" in service["spec"]:
        service["spec"]["scale"] = {"enabled": False}


_VARIABLES = {
    **dict.fromkeys(("NIM_MODEL_NAME", "NIM_REPOSITORY_OVERRIDE"), owned.MODEL),
    **dict.fromkeys(("NIM_SERVER_PORT", "NIM_HTTP_API_PORT"), owned.ADDRESS),
    **dict.fromkeys(("NIM_SSL_MODE", "NIM_SSL_KEY_PATH", "NIM_SSL_CERTS_PATH"), owned.TLS),
    "NIM_SERVED_MODEL_NAME": owned.NAMES,
    "NIM_PEFT_SOURCE": owned.ADAPTERS,
    "NIM_ENABLE_KV_CACHE_REUSE": "shares one tenant's prompts with another's. Set isolate_prompt_cache",
}

ADAPTER = Adapter(
    servers=frozenset({"nim"}),
    refusals=render.refusals,
    owns=owned.Owns(owned.OF_VLLM_OPTIONS, _VARIABLES),
    # NVIDIA's embed a question otherwise than a passage.
    question={"embedding": {"input_type": "query"}},
    kubernetes=OnKubernetes(
        render=render.render,
        workloads=(
            WorkloadKind(
                api_version="apps.nvidia.com/v1alpha1",
                kind="NIMService",
                resource="nimservices",
                judge=judge.JUDGE,
                park=_park,
                # An autoscaler of zero replicas that is off, and a storage without size.
                operator_writes=(".spec.scale", ".spec.storage"),
            ),
        ),
        kinds=(Kind("apps.nvidia.com/v1alpha1", "NIMCache", "nimcaches", "with mounts"),),
        # Its operator's pods do not say all that `restricted` asks for.
        pod_security="baseline",
    ),
    example=Example(server="nim", fields={"resources": {"gpu": {}}}, target={"cpu_percent": 80}),
)

"""What KServe says of itself as a runtime.

Belongs here: the adapter, how it limits names, how its services are stopped, what it reads on a Secret.
Does not: its objects (render.py), judging them (judge.py).
"""

from __future__ import annotations

from slipway.catalog.deployment import Deployment
from slipway.runtimes.adapter import Adapter, OnKubernetes
from slipway.runtimes.judging.objects import Object
from slipway.runtimes.kserve import judge, render
from slipway.runtimes.rendering.cluster_settings import StoreAddress
from slipway.runtimes.workload import WorkloadKind

# With `-<8 hex>` and `-predictor`.
_LONGEST_NAME = 44
# With adapters, or over several nodes, KServe's Service is `<revision>-kserve-workload-svc`.
_LONGEST_WORKLOAD_NAME = 34


def _longest_name(deployment: Deployment) -> int:
    return _LONGEST_WORKLOAD_NAME if render.spans_or_adapts(deployment) else _LONGEST_NAME


def _stop(service: Object) -> None:
    service["metadata"].setdefault("annotations", {})[judge.STOP] = "true"


def _store_annotations(store: StoreAddress) -> dict[str, str]:
    """Where KServe's storage initializer finds the store."""
    scheme, _, host = store.endpoint_url.partition("://")
    return {
        "serving.kserve.io/s3-endpoint": host,
        "serving.kserve.io/s3-usehttps": "1" if scheme == "https" else "0",
        "serving.kserve.io/s3-region": store.region,
        "serving.kserve.io/s3-usevirtualbucket": "false",
    }


ADAPTER = Adapter(
    servers=frozenset(render.SERVERS),
    refusals=render.refusals,
    longest_name=_longest_name,
    kubernetes=OnKubernetes(
        render=render.render,
        workloads=(
            WorkloadKind(
                api_version="serving.kserve.io/v1beta1",
                kind="InferenceService",
                resource="inferenceservices",
                judge=judge.JUDGE,
                park=_stop,
            ),
            WorkloadKind(
                api_version="serving.kserve.io/v1alpha2",
                kind="LLMInferenceService",
                resource="llminferenceservices",
                judge=judge.JUDGE,
                park=_stop,
            ),
        ),
        store_annotations=_store_annotations,
    ),
)

"""Runtime `kserve`: an InferenceService, or an LLMInferenceService for adapters and several nodes.

Belongs here: choosing the kind, what both share (weights' account, stable names), what neither can honour.
Does not: the kinds' own fields (inferenceservice.py, llminferenceservice.py).
"""

from __future__ import annotations

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.servers import HUGGING_FACE, VLLM
from slipway.runtimes.kserve import inferenceservice, llminferenceservice
from slipway.runtimes.rendering import flows, identity, public, refusing, scaling, telemetry
from slipway.runtimes.rendering.cluster_settings import ClusterSettings
from slipway.runtimes.rendering.rendered import Object, Rendered, workload_of

SERVERS = (HUGGING_FACE, VLLM)


def render(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Rendered:
    """The objects of one revision; raises RenderError where the cluster's settings lack something."""
    kind = llminferenceservice if spans_or_adapts(resolved.deployment) else inferenceservice
    service, address = kind.service(resolved, cluster), kind.address(resolved, cluster)
    selected = identity.selector(resolved)
    return Rendered(
        workload=workload_of(service),
        objects=(
            _account(resolved, cluster),
            flows.engine_policy(resolved, cluster, selected, (kind.POD_PORT,)),
            service,
            *telemetry.pod_monitor(resolved, cluster, selected, kind.POD_PORT),
        ),
        address=address,
        public=tuple(public.objects(resolved, cluster, address)),
    )


def spans_or_adapts(deployment: Deployment) -> bool:
    """Whether only the newer kind can: LoRA adapters, or several nodes per replica."""
    return bool(deployment.adapters) or deployment.nodes_per_replica > 1


def _account(resolved: ResolvedDeployment, cluster: ClusterSettings) -> Object:
    """KServe's webhook finds the store's Secret through the ServiceAccount; pods get no token of it."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": identity.metadata(resolved, cluster),
        "automountServiceAccountToken": False,
        "secrets": [{"name": cluster.store.secret}],
    }


def refusals(deployment: Deployment, engine: Engine | None = None) -> list[tuple[str, str]]:
    """(field, reason) for everything in a deployment that KServe cannot honour."""
    server = engine.server if engine is not None else VLLM
    newer = spans_or_adapts(deployment)
    refused: refusing.Refused = {
        **scaling.refused(deployment),
        **refusing.of_a_pod(deployment),
        **refusing.of_pods(
            deployment, {"files": refusing.FILES, "max_ongoing_requests": refusing.ONGOING}, refusing.POD
        ),
        **refusing.of_parallelism(deployment, "", refusing.DIVISIONS, server),
        "adapters": (
            bool(deployment.adapters) and server != VLLM,
            f"are vLLM's in KServe, and the engine is {server}. Remove them",
        ),
        "nodes_per_replica": (
            deployment.nodes_per_replica > 1 and server != VLLM,
            f"is more than 1, which is vLLM's in KServe, and the engine is {server}. Set it to 1",
        ),
        "resources.volume_size": (
            newer and deployment.resources.volume_size is not None,
            "is no field of an LLMInferenceService, which adapters and nodes_per_replica need. Remove it",
        ),
        "resources.shared_memory": (
            newer and deployment.resources.shared_memory is not None,
            "is KServe's own in an LLMInferenceService, which adapters and nodes_per_replica need. Remove it",
        ),
        "engine": (
            server not in SERVERS,
            f"is {server}, and KServe runs {' or '.join(SERVERS)}. Name another",
        ),
    }
    auto = deployment.autoscaling
    if auto is not None:
        given = auto.model_fields_set
        no_delay = (
            "cannot be given in an LLMInferenceService, which adapters and nodes_per_replica need. Remove it"
        )
        refused |= {
            "autoscaling.idle_after_s": (
                not newer and "idle_after_s" in given,
                "is no field of an InferenceService. Remove it",
            ),
            "autoscaling.upscale_delay_s": (newer and "upscale_delay_s" in given, no_delay),
            "autoscaling.downscale_delay_s": (newer and "downscale_delay_s" in given, no_delay),
        }
        if auto.idle == "sleep" and server != VLLM:
            refused["autoscaling.idle"] = (True, "is sleep, which only vLLM has. Use keep or zero")
    return refusing.only(refused)

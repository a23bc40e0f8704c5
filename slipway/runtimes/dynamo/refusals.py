"""What Dynamo cannot honour of a deployment, with the reason.

Belongs here: (field, reason) pairs. Does not: the graph (render.py).
"""

from __future__ import annotations

from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.runtimes.dynamo import render
from slipway.runtimes.rendering import refusing, scaling


def _refused_engine(deployment: Deployment, engine: Engine | None) -> tuple[bool, str]:
    if engine is None or engine.server not in ("dynamo", "vllm"):
        return engine is not None, "is no Dynamo. Name one of server dynamo, with its images"
    has_image = deployment.accelerator in engine.images
    return (
        has_image and render.tagged_version(engine, deployment) is None,
        f"has an image for {deployment.accelerator} without a version in its tag, which Dynamo must know. "
        "Write the tag, such as 1.3.1, beside the digest",
    )


def refusals(deployment: Deployment, engine: Engine | None = None) -> list[tuple[str, str]]:
    """(field, reason) for everything in a deployment that Dynamo cannot honour."""
    auto, balancing = deployment.autoscaling, deployment.load_balancing
    refused: refusing.Refused = {
        **scaling.refused(deployment),
        **refusing.of_a_pod(deployment),
        **refusing.of_pods(
            deployment,
            {
                "files": refusing.FILES,
                "max_ongoing_requests": refusing.ONGOING,
                "probes": "are Dynamo's own, at the port of its system. Remove them",
            },
            ("placement.", "volumes", "ca.", "resources."),
        ),
        **refusing.of_parallelism(deployment, "", refusing.DIVISIONS),
        "load_balancing.strategy": (False, ""),
        "load_balancing.prefix_length": (
            "prefix_length" in balancing.model_fields_set,
            "is Dynamo's own: it knows which worker has which blocks. Remove it",
        ),
        "load_balancing.load_factor_percent": (
            "load_factor_percent" in balancing.model_fields_set,
            "is Dynamo's own: its router weighs load by itself. Remove it",
        ),
        "rollout.surge": (deployment.rollout.surge > 0, "is not ours to say: Dynamo has none. Set it to 0"),
        "resources.gpu": (
            deployment.resources.gpu is None,
            "is missing, and Dynamo's workers need one. Add resources.gpu",
        ),
        "resources.gpu.vendor": (
            deployment.accelerator not in ("cpu", "nvidia"),
            f"is {deployment.accelerator}, and Dynamo's images are for NVIDIA's. Use another runtime",
        ),
        "engine": _refused_engine(deployment, engine),
    }
    if auto is not None:
        percent = "is told by no adapter of Dynamo's, which has no pods to measure. Use ongoing_requests"
        refused |= {
            "autoscaling.idle": (
                auto.idle != "keep",
                f"is {auto.idle}, and at least one worker of Dynamo's stays. Use keep",
            ),
            "autoscaling.idle_after_s": (
                "idle_after_s" in auto.model_fields_set,
                "is for deployments that do not stay up, and Dynamo's do. Remove it",
            ),
            "autoscaling.target.cpu_percent": (auto.target.cpu_percent is not None, percent),
            "autoscaling.target.memory_percent": (auto.target.memory_percent is not None, percent),
        }
    return refusing.only(refused)

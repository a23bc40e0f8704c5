"""The arguments of Slipway's own llama.cpp application, the same on Ray, on KubeRay and in a plain pod.

Belongs here: the one document that slipway.engines.llamacpp.Args reads.
Does not: the application (slipway.engines), what hosts it (the runtimes' rooms).
"""

from __future__ import annotations

from typing import Any

from slipway.catalog.resolved import ResolvedDeployment


def app_args(resolved: ResolvedDeployment) -> dict[str, Any]:
    """What to load and how, as plain JSON."""
    deployment = resolved.deployment
    adapters = zip(deployment.adapters, resolved.adapters, strict=True)
    return {
        "deployment": resolved.name,
        "spec_digest": resolved.spec_digest,
        "served_name": resolved.name,
        "model_prefix": resolved.model.prefix,
        "adapters": [{"served_name": served.model_name, "prefix": a.prefix} for served, a in adapters],
        "engine_args": list(deployment.args),
        # llama.cpp has no salt for its prompt cache: isolated means that nothing is reused.
        "reuse_prompts": not deployment.isolate_prompt_cache,
        **({"task": resolved.task} if resolved.task != "text-generation" else {}),
    }

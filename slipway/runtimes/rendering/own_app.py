"""The arguments of Slipway's own applications, the same on Ray, on KubeRay and in a plain pod.

Belongs here: the one document that slipway.engines.hosting.Args reads.
Does not: the application (slipway.engines), what hosts it (the runtimes' rooms).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.servers import LLAMA_CPP
from slipway.runtimes.arguments import parsing


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
        "engine_args": _joined(deployment.args),
        # llama.cpp has no salt for its prompt cache: isolated means that nothing is reused.
        "reuse_prompts": not deployment.isolate_prompt_cache,
        **({"server": resolved.engine.server} if resolved.engine.server != LLAMA_CPP else {}),
        **({"task": resolved.task} if resolved.task != "text-generation" else {}),
    }


def _joined(args: Sequence[str]) -> list[str]:
    """`--ctx-size 2048` as the engine reads it: `--ctx-size=2048`. What it cannot read it refuses."""
    parsed = parsing.parse(args, parsing.OF_ANY)
    words = {
        each.at: "=".join((each.words[0], each.value)) for each in parsed.arguments if len(each.words) > 1
    }
    alone = {each.at: each.words[0] for each in parsed.arguments if len(each.words) == 1}
    unread = {each.at: each.word for each in parsed.unreadable}
    return [word for _, word in sorted({**unread, **words, **alone}.items())]

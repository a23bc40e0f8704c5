"""Which task a runtime's engines do: what the engine can, and which paths the runtime lets requests through.

Belongs here: that table, and the refusal of everything else. Does not: how an engine is told its task
(vllm_args.py, inferenceservice.py, llamacpp_app.py), asking it (slipway.dataplane.validation.questions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from slipway.catalog.fields import Task
from slipway.runtimes.rendering import llamacpp_app

_ALL: frozenset[Task] = frozenset(get_args(Task))
_OF_ENGINES: Mapping[str, frozenset[Task]] = {
    llamacpp_app.SERVER: frozenset(llamacpp_app.TASKS),
    "vllm": _ALL,
    # Its answers to classification are KServe's own protocol, which no client of the gateway speaks.
    "huggingface": frozenset({"text-generation", "embedding", "rerank"}),
    "infinity": frozenset({"embedding", "rerank"}),
    "faster-whisper": frozenset({"speech-to-text"}),
    # Its reranking (/v1/ranking) and speech have paths and bodies of their own.
    "nim": frozenset({"text-generation", "embedding"}),
    "dynamo": frozenset({"text-generation", "embedding"}),
}
_IN_FRONT: Mapping[tuple[str, str], frozenset[Task]] = {
    # KubeAI's proxy knows five paths: internal/openaiserver/handler.go of kubeai-project/kubeai.
    **{
        ("kubeai", server): frozenset({"text-generation", "embedding", "rerank", "speech-to-text"})
        for server in ("vllm", "infinity", "faster-whisper")
    },
    # Ray Serve LLM's ingress: ray/llm/_internal/serve/core/ingress/ingress.py of Ray 2.60.
    ("kuberay", "vllm"): frozenset({"text-generation", "embedding", "rerank", "speech-to-text"}),
    # Dynamo's frontend: docs.nvidia.com/dynamo, components/frontend.
    ("dynamo", "vllm"): frozenset({"text-generation", "embedding"}),
}


def tasks(runtime: str, server: str) -> frozenset[Task]:
    """What an engine does for clients on a runtime that hosts it."""
    return _OF_ENGINES.get(server, frozenset()) & _IN_FRONT.get((runtime, server), _ALL)


def refusal(runtime: str, server: str, task: Task, hosts: Mapping[str, Iterable[str]]) -> str | None:
    """Why a deployment cannot do its model's task, and where it could be done; None when it can.

    `hosts` are the servers that each runtime hosts.
    """
    able = tasks(runtime, server)
    if task in able or server not in hosts.get(runtime, ()):
        return None
    done = ", ".join(each for each in get_args(Task) if each in able)
    elsewhere = ", ".join(
        f"{other} with {each}"
        for other in hosts
        for each in sorted(hosts[other])
        if task in tasks(other, each)
    )
    return f"its task is {task}, and {server} on {runtime} does {done}. Use {elsewhere}"

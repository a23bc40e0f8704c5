"""Which inference servers there are, and what each does wherever it runs.

Belongs here: the one list of them. Does not: which runtime hosts which (its adapter), how one is told its
task (slipway.runtimes.rendering), asking it (slipway.dataplane.validation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from slipway.catalog.fields import Task

ServerName = Literal[
    "llama.cpp",
    "onnxruntime",
    "ctranslate2",
    "espeak-ng",
    "vllm",
    "nim",
    "dynamo",
    "ollama",
    "infinity",
    "faster-whisper",
    "huggingface",
]
LLAMA_CPP: ServerName = "llama.cpp"
ONNX_RUNTIME: ServerName = "onnxruntime"
CTRANSLATE2: ServerName = "ctranslate2"
ESPEAK_NG: ServerName = "espeak-ng"
VLLM: ServerName = "vllm"
HUGGING_FACE: ServerName = "huggingface"

ALL_TASKS: frozenset[Task] = frozenset(get_args(Task))


@dataclass(frozen=True)
class Server:
    """What one server does. `fills_memory_as_vllm`: with vLLM's arguments, weights and cache as vLLM's.

    `salts_prompts`: a request's `cache_salt` keeps its prompt's cached prefix apart from others'.
    `licence` says why it does not go without an `api_key`; None: it does. `is_ours`: Slipway's own server
    around it (slipway.engines), which runs in Slipway's own image; `gpus` are the vendors whose cards that
    server computes on.
    """

    tasks: frozenset[Task] = frozenset()
    fills_memory_as_vllm: bool = False
    salts_prompts: bool = False
    licence: str | None = None
    is_ours: bool = False
    gpus: frozenset[str] = frozenset()


_NVIDIA = frozenset({"nvidia"})

SERVERS: Mapping[ServerName, Server] = {
    LLAMA_CPP: Server(
        frozenset({"text-generation", "embedding", "rerank"}),
        is_ours=True,
        gpus=frozenset({"nvidia", "amd", "intel"}),
    ),
    ONNX_RUNTIME: Server(frozenset({"embedding", "rerank"}), is_ours=True, gpus=_NVIDIA),
    # faster-whisper in a replica of ours; the server of that name below is KubeAI's.
    CTRANSLATE2: Server(frozenset({"speech-to-text"}), is_ours=True, gpus=_NVIDIA),
    ESPEAK_NG: Server(frozenset({"text-to-speech"}), is_ours=True),
    VLLM: Server(ALL_TASKS, fills_memory_as_vllm=True, salts_prompts=True),
    # Its reranking (/v1/ranking) and speech have paths and bodies of their own.
    "nim": Server(frozenset({"text-generation", "embedding"}), licence="NIM needs a licence key"),
    "dynamo": Server(frozenset({"text-generation", "embedding"}), fills_memory_as_vllm=True),
    "ollama": Server(),
    "infinity": Server(frozenset({"embedding", "rerank"})),
    "faster-whisper": Server(frozenset({"speech-to-text"})),
    # Its answers to classification are a protocol of their own, which no client of the gateway speaks.
    HUGGING_FACE: Server(frozenset({"text-generation", "embedding", "rerank"})),
}

# In the order in which they are named to a person.
OURS: tuple[ServerName, ...] = tuple(name for name, server in SERVERS.items() if server.is_ours)

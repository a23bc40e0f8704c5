"""One llama.cpp engine in this process: started from files on disk, listening on loopback.

Belongs here: choosing the GGUF files, the server's parameters, starting it, its errors.
Does not: fetching weights or Ray (llamacpp.py), the API that tenants see (frontend.py).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.engines.errors import EngineRefusedError
from slipway.engines.flags import EngineSettings, Value
from slipway.engines.gguf_header import context_length, has_tensor
from slipway.engines.llamacpp_args import FLAGS
from slipway.engines.native_log import NativeLog

# The engine's own threads for HTTP; a request holds one until its last token, and /health needs one, too.
HTTP_THREADS = 128


@dataclass(frozen=True)
class Engine:
    """A running engine. It lives as long as `server` is referenced, and dies with this process."""

    url: str
    key: str
    server: Any


def gguf_file(directory: Path) -> Path:
    """The one model file below the directory, or the first of its numbered parts.

    Raises EngineRefusedError when there is none, or more than one to choose from.
    """
    model_files = sorted(directory.rglob("*.gguf"))
    first = [path for path in model_files if "-of-" not in path.name or "-00001-of-" in path.name]
    if len(first) == 1:
        return first[0]
    names = ", ".join(str(path.relative_to(directory)) for path in model_files) or "none"
    raise EngineRefusedError(
        f"The weights must hold exactly one GGUF model, but hold: {names}. "
        "Name one with the model's `include` patterns."
    )


def start(
    model: Path,
    adapters: Sequence[Path],
    settings: EngineSettings,
    alias: str,
    *,
    task: str = "text-generation",
    reuse_prompts: bool = False,
) -> Engine:
    """Load the model and its adapters (at scale 0) and listen on a free loopback port; blocks while it loads.

    For embeddings or reranking it answers those alone: what it would generate is another thing then.

    Raises EngineRefusedError with llama.cpp's own words when the engine does not start.
    """
    refuse_context(model, settings)
    if task == "rerank" and not has_tensor(model, "cls."):
        # llama.cpp would rank by numbers without sense.
        raise EngineRefusedError(
            f"{model.name} does not rerank: it has no classifier (tensors `cls.`). Name a model made "
            "for reranking, such as bge-reranker or Qwen3-Reranker in GGUF, or another task."
        )
    # On an abort llama.cpp would attach a debugger to print a trace, and stop the process for seconds.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    import xllamacpp

    key = secrets.token_hex(32)
    params = _parameters(xllamacpp, model, adapters, alias, key)
    # Of requests that do not say it: of some shapes the engine reads the API's own fields alone.
    params.cache_prompt = reuse_prompts and not adapters
    params.embedding = task in ("embedding", "rerank")
    if task == "rerank":
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
    for name, value in settings.values.items():
        _set(xllamacpp, params, name, value)
    log = NativeLog()
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        cause = "; ".join(log.errors()) or str(error)
        given = " ".join(settings.given) or "no arguments"
        raise EngineRefusedError(f"llama.cpp does not start {model.name} with {given}: {cause}.") from error
    return Engine(server.listening_address, key, server)


def refuse_context(model: Path, settings: EngineSettings) -> None:
    """Raise EngineRefusedError when a slot's context is longer than the model's.

    llama.cpp would only warn, and take the memory: a typing error then kills the node's other processes.
    """
    longest = context_length(model)
    asked, slots = settings.whole("--ctx-size"), settings.whole("--parallel", otherwise=1)
    if longest is None or "--rope-scaling" in settings.values or asked <= longest * slots:
        return
    raise EngineRefusedError(
        f"engine argument --ctx-size={asked}: larger than the model's context of {longest} tokens x "
        f"--parallel={slots}. Write at most {longest * slots}."
    )


def _parameters(xllamacpp: Any, model: Path, adapters: Sequence[Path], alias: str, key: str) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {alias}
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 0.0) for path in adapters]
    params.lora_init_without_apply = True
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]  # anyone on this machine can reach the port
    params.n_threads_http = HTTP_THREADS
    params.endpoint_slots = False
    params.ui = False
    params.fit_params = False  # the arguments are the arguments; nothing is shrunk behind our back
    params.verbosity = 1
    return params


def _set(xllamacpp: Any, params: Any, name: str, value: Value) -> None:
    flag = FLAGS[name]
    *path, attribute = flag.field.split(".")
    target = params
    for step in path:
        target = getattr(target, step)
    setattr(target, attribute, getattr(getattr(xllamacpp, flag.enum), str(value)) if flag.enum else value)

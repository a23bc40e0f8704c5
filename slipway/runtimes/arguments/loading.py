"""How an engine loads weights, and whether it can load those that there are.

Belongs here: formats by the names of files, what vLLM's streamer and others read of them, the refusal. Pure.
Does not: finding out which files there are (slipway.control.fit), saying it to an engine (its runtime).
Formats: https://docs.vllm.ai/en/stable/models/extensions/runai_model_streamer/ and `--load-format` of vLLM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from slipway.catalog.deployment import Deployment
from slipway.catalog.servers import CTRANSLATE2, LLAMA_CPP, ONNX_RUNTIME, SERVERS, ServerName
from slipway.runtimes.arguments import parsing

Format = Literal["safetensors", "PyTorch's .bin", "GGUF", "ONNX"]
# Where the streamer reads: from the store itself, or from a disk, where others could read, too.
Streams = Literal["store", "disk"]

LOAD_FORMAT, QUANTIZATION = "load-format", "quantization"

_SUFFIXES: Mapping[str, Format] = {
    "safetensors": "safetensors",
    "bin": "PyTorch's .bin",
    "pt": "PyTorch's .bin",
    "pth": "PyTorch's .bin",
    "gguf": "GGUF",
    "onnx": "ONNX",
}
# It makes up weights instead of reading any.
_NO_WEIGHTS = "dummy"
_FROM_STORE = frozenset({"runai_streamer", "runai_streamer_sharded", "tensorizer", _NO_WEIGHTS})
# What engines of ours load, and what to do where there is none of it.
_LOADS: Mapping[ServerName, tuple[Format, str]] = {
    LLAMA_CPP: ("GGUF", "GGUF. Name weights in GGUF, or an engine of vLLM"),
    ONNX_RUNTIME: ("ONNX", "ONNX. Name weights in ONNX, or an engine of vLLM"),
    CTRANSLATE2: ("PyTorch's .bin", "CTranslate2's model.bin. Convert them, or name an engine of vLLM"),
}
# Kinds of quantizing that bring a reader of their own.
_WITH_A_READER = frozenset({"bitsandbytes", "gguf"})


def formats(paths: Iterable[str]) -> frozenset[Format]:
    """Formats of weights by files' names, or by patterns of them."""
    suffixes = (path.rpartition(".")[2].lower() for path in paths)
    return frozenset(_SUFFIXES[each] for each in suffixes if each in _SUFFIXES)


def reader(deployment: Deployment, streams: Streams | None) -> tuple[int, str] | None:
    """The argument (its place) that has weights read otherwise than they lie, and why."""
    parsed = parsing.parse(deployment.args)
    given, quantized = parsed.last(LOAD_FORMAT), parsed.last(QUANTIZATION)
    if streams != "store":
        return None
    if given is not None and given.value not in _FROM_STORE:
        return given.at, (
            f"{parsing.spelled(given)} = {given.value}: is read from a disk, and these weights are streamed "
            "from the store. Remove it, or use runtime kserve, which copies them to a disk first"
        )
    if quantized is not None and quantized.value in _WITH_A_READER:
        return quantized.at, (
            f"{parsing.spelled(quantized)} = {quantized.value}: brings a reader of its own, which reads no "
            "store. Use another kind such as fp8, or runtime kserve, which copies weights to a disk first"
        )
    return None


def refusal(
    deployment: Deployment, server: ServerName, streams: Streams | None, held: frozenset[Format]
) -> str | None:
    """Why an engine could not load weights of these formats; None when it can, or nothing is known."""
    if not held:
        return None
    has = " and ".join(sorted(held))
    if server in _LOADS:
        wanted, words = _LOADS[server]
        return None if wanted in held else f"holds {has}, and {server} loads {words}"
    if not SERVERS[server].fills_memory_as_vllm or "safetensors" in held:
        return None
    given = parsing.parse(deployment.args).last(LOAD_FORMAT)
    if given is not None and given.value == _NO_WEIGHTS:
        return None
    if held == {"GGUF"}:
        return f"holds {has} alone, which vLLM does not load. Name an engine of llama.cpp, or safetensors"
    if streams is None or (streams == "disk" and given is not None):
        return None
    on_disk = streams == "disk"
    elsewhere = "add --load-format=auto to args" if on_disk else "use runtime kserve, which copies them"
    return f"holds {has} alone, and vLLM streams safetensors. Name weights in safetensors, or {elsewhere}"

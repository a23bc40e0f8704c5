"""An engine is only given weights in a format that it loads, and the way in which it loads them."""

from typing import Any

import pytest

from slipway.catalog import Deployment
from slipway.runtimes import registry
from slipway.runtimes.arguments import loading
from slipway.runtimes.table import CLUSTER_SETTINGS

SAFETENSORS = ["model-00001-of-00002.safetensors", "config.json", "training_args.bin"]
TORCH = ["pytorch_model-00001-of-00002.bin", "config.json"]
GGUF = ["model-Q4_K_M.gguf", "README.md"]
NOTHING = ["config.json"]


def deployment(**fields: Any) -> Deployment:
    written = {"name": "c", "model": "m", "engine": "e", "runtime": "vllm", **fields}
    return Deployment.model_validate(written)


def refused(runtime: str, server: Any, files: list[str], **fields: Any) -> str:
    streams = registry.adapter(runtime).streams.get(server)
    held = loading.formats(files)
    return loading.refusal(deployment(runtime=runtime, **fields), server, streams, held) or ""


@pytest.mark.parametrize(
    ("runtime", "server", "files", "remedy"),
    [
        ("vllm", "vllm", GGUF, "Name an engine of llama.cpp"),
        ("kubeai", "vllm", GGUF, "Name an engine of llama.cpp"),
        ("kuberay", "vllm", GGUF, "Name an engine of llama.cpp"),
        ("kserve", "vllm", GGUF, "Name an engine of llama.cpp"),
        ("dynamo", "dynamo", GGUF, "Name an engine of llama.cpp"),
        ("vllm", "vllm", TORCH, "or use runtime kserve"),
        ("kubeai", "vllm", TORCH, "or use runtime kserve"),
        ("kuberay", "vllm", TORCH, "or use runtime kserve"),
        ("dynamo", "dynamo", TORCH, "or add --load-format=auto to args"),
        ("vllm", "llama.cpp", SAFETENSORS, "Name weights in GGUF"),
        ("ray", "llama.cpp", TORCH, "Name weights in GGUF"),
    ],
)
def test_weights_that_an_engine_does_not_load_are_refused(
    runtime: str, server: str, files: list[str], remedy: str
) -> None:
    assert remedy in refused(runtime, server, files)


@pytest.mark.parametrize(
    ("runtime", "server", "files"),
    [
        *((runtime, "vllm", SAFETENSORS) for runtime in ("vllm", "kubeai", "kuberay", "kserve")),
        ("vllm", "vllm", SAFETENSORS + GGUF),
        ("kserve", "vllm", TORCH),
        ("vllm", "llama.cpp", GGUF),
        ("vllm", "llama.cpp", GGUF + SAFETENSORS),
        ("vllm", "vllm", NOTHING),
        ("kubeai", "infinity", TORCH),
        ("kubeai", "faster-whisper", ["model.bin"]),
    ],
)
def test_what_it_loads_goes_and_what_is_not_known_too(runtime: str, server: str, files: list[str]) -> None:
    assert refused(runtime, server, files) == ""


def test_from_a_disk_another_reader_may_be_named() -> None:
    assert refused("dynamo", "dynamo", TORCH, args=["--load-format", "pt"]) == ""


@pytest.mark.parametrize("files", [GGUF, TORCH], ids=str)
def test_an_engine_that_makes_up_its_weights_takes_any(files: list[str]) -> None:
    assert refused("vllm", "vllm", files, args=["--load-format=dummy"]) == ""


@pytest.mark.parametrize("runtime", ["vllm", "kubeai", "kuberay"])
@pytest.mark.parametrize(
    "args",
    [
        ["--load-format=auto"],
        ["--load_format", "gguf"],
        ["--load-format=safetensors"],
        ["-q", "bitsandbytes"],
        ["--quantization=bitsandbytes"],
    ],
    ids=str,
)
def test_another_reader_beside_the_streamer_is_refused(runtime: str, args: list[str]) -> None:
    streams = registry.adapter(runtime).streams["vllm"]
    found = loading.reader(deployment(runtime=runtime, args=args), streams)
    assert found is not None
    assert found[0] == 0 and "runtime kserve" in found[1]


@pytest.mark.parametrize(
    ("runtime", "args"),
    [
        ("vllm", ["--load-format=runai_streamer_sharded"]),
        ("vllm", ["--load-format", "tensorizer"]),
        ("vllm", ["-q", "fp8"]),
        ("kserve", ["--load-format=auto"]),
        ("dynamo", ["--load-format=safetensors"]),
    ],
)
def test_readers_of_the_store_and_of_copies_go(runtime: str, args: list[str]) -> None:
    server = registry.adapter(runtime).example.server
    streams = registry.adapter(runtime).streams.get(server)
    assert loading.reader(deployment(runtime=runtime, args=args), streams) is None


def test_who_says_that_it_streams_renders_the_streamer(resolved: Any) -> None:
    for runtime in ("vllm", "kuberay", "kserve"):
        spec = resolved(runtime=runtime, resources={"gpu": {}})
        given = str(registry.adapter(runtime).given(spec, CLUSTER_SETTINGS))
        assert ("runai_streamer" in given) == ("vllm" in registry.adapter(runtime).streams)

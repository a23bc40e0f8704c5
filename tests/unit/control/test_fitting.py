"""A model that cannot fit the GPU memory asked for is refused where it is written, with the arithmetic."""

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.catalog.problems import CatalogError
from slipway.control.check import check_catalog
from slipway.control.fit import known_formats, known_weights
from slipway.control.fit.known_weights import KnownWeights, loaded_bytes

GIB = 2**30
LAYERS, KV_HEADS, HEAD = 32, 8, 128
PER_TOKEN = 2 * LAYERS * KV_HEADS * HEAD * 2
CONFIG = {
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 32,
    "num_key_value_heads": KV_HEADS,
    "hidden_size": 32 * HEAD,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
}
CATALOG = """
{kind: Model, name: big, spec: {source: "SOURCE"}}
---
kind: Engine
name: e
spec: {server: vllm, images: {nvidia: {image: registry.example/e, tag: v1}}}
---
kind: Deployment
name: chat
spec:
  model: big
  runtime: vllm
  engine: e
  resources:
    gpu:
      memory: 16Gi
"""
PINNED = f"hf://org/big@{'1' * 40}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def problems(tmp_path: Path, source: str, **edits: str) -> list[str]:
    """What `slipway check` says of the catalog with this source."""
    directory = tmp_path / "catalog"
    directory.mkdir(exist_ok=True)
    text = CATALOG.replace("SOURCE", source)
    for old, new in edits.items():
        text = text.replace(old, new)
    (directory / "catalog.yaml").write_text(text)
    try:
        check_catalog(directory)
    except CatalogError as error:
        return [str(each).split("catalog.yaml:")[1] for each in error.problems]
    return []


def on_disk(directory: Path, weights_bytes: int, config: dict[str, Any] = CONFIG) -> str:
    """A source of that size, whose file has no content."""
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(config))
    with (directory / "model.safetensors").open("wb") as file:
        file.truncate(weights_bytes)
    return f"file://{directory}"


def test_a_model_on_this_disk_is_judged_and_the_arithmetic_is_shown(tmp_path: Path, home: Path) -> None:
    source = on_disk(tmp_path / "big", 15 * GIB)
    cache_gib = 8192 * PER_TOKEN / GIB
    assert problems(tmp_path, source) == [
        "16  deployments[chat].resources.gpu.memory = 16Gi: big cannot fit: (weights 15.0 GiB + KV cache "
        f"8192 tokens x {PER_TOKEN} bytes = {cache_gib:.1f} GiB) / 1 cards = {15 + cache_gib:.1f} GiB, and a "
        f"card has 16.0 GiB x 0.9 = {16 * 0.9:.1f} GiB. Ask for more cards (gpu.count) or larger ones, or "
        "give a shorter --max-model-len."
    ]
    assert problems(tmp_path, source, **{"memory: 16Gi": "memory: 16Gi\n      count: 2"}) == []


def test_what_a_plan_read_of_a_pinned_source_is_known_offline(tmp_path: Path, home: Path) -> None:
    assert problems(tmp_path, PINNED) == []
    model = check_catalog(tmp_path / "catalog").catalog.model("big")
    known_weights.keep(home, model, KnownWeights(40 * GIB, CONFIG))
    assert "big cannot fit: (weights 40.0 GiB" in problems(tmp_path, PINNED)[0]
    assert problems(tmp_path, f"hf://org/big@{'2' * 40}") == []


def test_of_a_moving_source_nothing_is_kept(tmp_path: Path, home: Path) -> None:
    problems(tmp_path, "hf://org/big@main")
    model = check_catalog(tmp_path / "catalog").catalog.model("big")
    known_weights.keep(home, model, KnownWeights(40 * GIB, CONFIG))
    assert problems(tmp_path, "hf://org/big@main") == []


@pytest.mark.parametrize("broken", ["{", "[]", '{"weights_bytes": "x"}'])
def test_what_cannot_be_read_tells_nothing(tmp_path: Path, home: Path, broken: str) -> None:
    problems(tmp_path, PINNED)
    model = check_catalog(tmp_path / "catalog").catalog.model("big")
    known_weights.keep(home, model, KnownWeights(40 * GIB, CONFIG))
    (kept,) = (home / "known-weights").iterdir()
    kept.write_text(broken)
    assert problems(tmp_path, PINNED) == []


def test_weights_that_a_repository_has_twice_count_once() -> None:
    both = [("model-1.safetensors", 5), ("model-2.safetensors", 5), ("consolidated.safetensors", 10)]
    assert loaded_bytes([*both, ("pytorch_model.bin", 10), ("original/consolidated.pth", 10)]) == 10
    assert loaded_bytes([("pytorch_model.bin", 7), ("config.json", 1)]) == 7
    assert loaded_bytes([("weights.gguf", 7)]) == 0


def named(directory: Path, *names: str) -> str:
    """A source with these files, all empty."""
    directory.mkdir()
    for name in names:
        (directory / name).touch()
    return f"file://{directory}"


def test_weights_on_this_disk_that_the_engine_does_not_load_are_refused(tmp_path: Path, home: Path) -> None:
    (found,) = problems(tmp_path, named(tmp_path / "gguf", "model.gguf", "config.json"))
    assert "deployments[chat].model = big: big holds GGUF alone, which vLLM does not load" in found
    (found,) = problems(tmp_path, named(tmp_path / "torch", "pytorch_model.bin"))
    assert "big holds PyTorch's .bin alone, and vLLM streams safetensors" in found
    assert problems(tmp_path, named(tmp_path / "both", "model.safetensors", "model.gguf")) == []


def test_what_is_taken_of_a_source_counts_not_what_lies_there(tmp_path: Path, home: Path) -> None:
    source = named(tmp_path / "all", "model.safetensors", "pytorch_model.bin", "model.gguf")
    (found,) = problems(tmp_path, source, **{f'"{source}"': f"'{source}', include: ['*.gguf']"})
    assert "big holds GGUF alone" in found
    (found,) = problems(tmp_path, source, **{f'"{source}"': f"'{source}', exclude: ['*.safetensors']"})
    assert "big holds GGUF and PyTorch's .bin alone" in found


def test_the_formats_that_a_plan_read_are_known_offline(tmp_path: Path, home: Path) -> None:
    assert problems(tmp_path, PINNED) == []
    model = check_catalog(tmp_path / "catalog").catalog.model("big")
    known_formats.keep(home, model, ["config.json", "model.gguf"])
    assert not home.exists()  # a plan makes no home where one was mistyped
    home.mkdir()
    known_formats.keep(home, model, ["config.json", "model.gguf"])
    (found,) = problems(tmp_path, PINNED)
    assert "big holds GGUF alone" in found
    moving = model.model_copy(update={"source": "hf://org/big@main"})
    known_formats.keep(home, moving, ["model.gguf"])
    assert known_formats.offline(moving, home) == frozenset()

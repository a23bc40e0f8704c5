"""The demo LoRA adapter: a GGUF file whose every byte follows from a seed and the base model's shapes.

Belongs here: the adapter's tensors, their values, and writing them as llama.cpp reads them.
Does not: training. The values are pseudo-random; they change what the model says, and nothing more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LoraRecipe:
    """What an adapter is made from; the same recipe gives the same bytes on every platform."""

    seed: str
    name: str
    rank: int
    alpha: float
    tensors: tuple[str, ...]
    # A value is a signed byte divided by 2**scale_bits: exact in float32, so no rounding can differ.
    scale_bits: int


@dataclass(frozen=True)
class BaseShapes:
    """What an adapter must know of its base: architecture, and (in, out) of each adapted tensor."""

    architecture: str
    shapes: dict[str, tuple[int, int]]


def read_base(path: Path, tensors: tuple[str, ...]) -> BaseShapes:
    """Read the architecture and the shapes of the named tensors from a base model's GGUF file."""
    from gguf import GGUFReader

    reader = GGUFReader(path)
    architecture = reader.get_field("general.architecture")
    # GGUF stores dimensions fastest first: (in, out) of a matrix that maps in to out.
    shapes = {
        tensor.name: (int(tensor.shape[0]), int(tensor.shape[1]))
        for tensor in reader.tensors
        if tensor.name in tensors
    }
    missing = [name for name in tensors if name not in shapes]
    if architecture is None or missing:
        raise ValueError(
            f"{path}: no {missing or 'general.architecture'} in this GGUF. Is it the base model?"
        )
    return BaseShapes(str(architecture.contents()), shapes)


def write_adapter(path: Path, recipe: LoraRecipe, base: BaseShapes) -> None:
    """Write the adapter as GGUF; keys as llama.cpp's llama_adapter_lora reads them."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, base.architecture)
    writer.add_type("adapter")
    writer.add_name(recipe.name)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", recipe.alpha)
    for tensor in recipe.tensors:
        inputs, outputs = base.shapes[tensor]
        writer.add_tensor(f"{tensor}.lora_a", _matrix(recipe, f"{tensor}.lora_a", recipe.rank, inputs))
        writer.add_tensor(f"{tensor}.lora_b", _matrix(recipe, f"{tensor}.lora_b", outputs, recipe.rank))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _matrix(recipe: LoraRecipe, label: str, rows: int, columns: int) -> Any:
    """A rows x columns float32 matrix of SHAKE-256 bytes: integers over a power of two, so always exact."""
    import numpy as np

    stream = hashlib.shake_256(f"{recipe.seed}/{label}".encode()).digest(rows * columns)
    integers = np.frombuffer(stream, dtype=np.int8).astype(np.float32)
    return (integers / np.float32(2**recipe.scale_bits)).reshape(rows, columns)

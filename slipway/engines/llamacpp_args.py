"""Engine arguments of llama.cpp: which flags a deployment may give, their values and their defaults.

Belongs here: one table of flags in llama.cpp's own spelling, and reading them.
Does not: loading anything (llamacpp_engine.py); the table is plain values, xllamacpp is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from slipway.engines.errors import EngineRefusedError

Value = int | float | bool | str


@dataclass(frozen=True)
class EngineSettings:
    """Arguments as they were `given`, and the value of every flag that is given or has a default."""

    given: tuple[str, ...]
    values: Mapping[str, Value]

    def whole(self, name: str, otherwise: int = 0) -> int:
        """The value of a flag that is a whole number, or `otherwise` when it is not set."""
        return int(self.values.get(name, otherwise))


@dataclass(frozen=True)
class Flag:
    """Where a flag goes in xllamacpp's CommonParams, how its text is read, and the default.

    `enum` names the xllamacpp enum that the (string) value is a member of. A default of None leaves
    llama.cpp's own.
    """

    field: str
    read: Callable[[str], Value]
    default: Value | None = None
    enum: str | None = None


def _integer(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"not a whole number. Write one from {low} to {high}") from None
        if not low <= number <= high:
            raise ValueError(f"out of range. Write a number from {low} to {high}")
        return number

    return read


def _decimal(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"not a number. Write one from {low:g} to {high:g}") from None
        if not low <= number <= high:
            raise ValueError(f"out of range. Write a number from {low:g} to {high:g}")
        return number

    return read


def _one_of(choices: Mapping[str, Value]) -> Callable[[str], Value]:
    def read(text: str) -> Value:
        if text not in choices:
            raise ValueError(f"unknown. Write one of {', '.join(choices)}")
        return choices[text]

    return read


def _text(text: str) -> str:
    if not text:
        raise ValueError("empty. Give it a value")
    return text


_CACHE_TYPE = _one_of(
    {
        name: f"GGML_TYPE_{name.upper()}"
        for name in ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
    }
)
_ON_OFF = _one_of({"on": True, "off": False})
_FLASH_ATTENTION = _one_of(
    {
        "auto": "LLAMA_FLASH_ATTN_TYPE_AUTO",
        "on": "LLAMA_FLASH_ATTN_TYPE_ENABLED",
        "off": "LLAMA_FLASH_ATTN_TYPE_DISABLED",
    }
)
_ROPE_SCALING = _one_of(
    {name: f"LLAMA_ROPE_SCALING_TYPE_{name.upper()}" for name in ("none", "linear", "yarn")}
)
_POOLING = _one_of({name: f"LLAMA_POOLING_TYPE_{name.upper()}" for name in ("mean", "cls", "last")})
_LOAD_MODE = _one_of(
    {
        "mmap": "LLAMA_LOAD_MODE_MMAP",
        "mlock": "LLAMA_LOAD_MODE_MMAP_MLOCK",
        "read": "LLAMA_LOAD_MODE_NONE",
    }
)

# One thread by default: with more threads than free cores llama.cpp spins and falls to a few tokens a second.
# Below 32 tokens a batch aborts the process; prompts kept in host memory are off, as llama.cpp's default is
# 8 GiB of it.
FLAGS: Mapping[str, Flag] = {
    "--ctx-size": Flag("n_ctx", _integer(64, 2**24)),
    "--parallel": Flag("n_parallel", _integer(1, 64), default=1),
    "--threads": Flag("cpuparams.n_threads", _integer(1, 512), default=1),
    "--threads-batch": Flag("cpuparams_batch.n_threads", _integer(1, 512)),
    "--batch-size": Flag("n_batch", _integer(32, 65_536)),
    "--ubatch-size": Flag("n_ubatch", _integer(32, 65_536)),
    "--predict": Flag("n_predict", _integer(1, 2**24)),
    "--cache-type-k": Flag("cache_type_k", _CACHE_TYPE, enum="ggml_type"),
    "--cache-type-v": Flag("cache_type_v", _CACHE_TYPE, enum="ggml_type"),
    "--cache-ram": Flag("cache_ram_mib", _integer(0, 2**20), default=0),
    "--flash-attn": Flag("flash_attn_type", _FLASH_ATTENTION, enum="llama_flash_attn_type"),
    "--gpu-layers": Flag("n_gpu_layers", _integer(0, 1000)),
    "--load-mode": Flag("load_mode", _LOAD_MODE, default="LLAMA_LOAD_MODE_MMAP", enum="llama_load_mode"),
    "--pooling": Flag("pooling_type", _POOLING, enum="llama_pooling_type"),  # of embeddings
    "--rope-scaling": Flag("rope_scaling_type", _ROPE_SCALING, enum="llama_rope_scaling_type"),
    "--rope-freq-base": Flag("rope_freq_base", _decimal(1, 1e9)),
    "--rope-freq-scale": Flag("rope_freq_scale", _decimal(0.001, 1)),
    "--chat-template": Flag("chat_template", _text),
    "--jinja": Flag("use_jinja", _ON_OFF),
    "--warmup": Flag("warmup", _ON_OFF, default=True),
    "--temp": Flag("sampling.temp", _decimal(0, 5)),
    "--top-k": Flag("sampling.top_k", _integer(0, 2**20)),
    "--top-p": Flag("sampling.top_p", _decimal(0, 1)),
    "--min-p": Flag("sampling.min_p", _decimal(0, 1)),
    "--repeat-penalty": Flag("sampling.penalty_repeat", _decimal(0, 10)),
}


def parse(args: Iterable[str]) -> EngineSettings:
    """Read engine arguments; `--threads-batch` follows `--threads`.

    Raises EngineRefusedError that names every unknown flag and every bad value.
    """
    values = {name: flag.default for name, flag in FLAGS.items() if flag.default is not None}
    given = tuple(args)
    problems = []
    for arg in given:
        name, equals, text = arg.partition("=")
        try:
            values[name] = _read(name, text, given=bool(equals))
        except ValueError as error:
            problems.append(f"engine argument {arg}: {error}.")
    if problems:
        raise EngineRefusedError(" ".join(problems))
    values.setdefault("--threads-batch", values["--threads"])
    return EngineSettings(given, values)


def _read(name: str, text: str, *, given: bool) -> Value:
    if name not in FLAGS:
        raise ValueError(f"unknown to this engine. It takes {', '.join(FLAGS)}")
    if not given:
        raise ValueError(f"has no value. Write {name}=...")
    return FLAGS[name].read(text)

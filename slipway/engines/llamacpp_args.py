"""Engine arguments of llama.cpp: which flags a deployment may give, their values and their defaults.

Belongs here: one table of flags in llama.cpp's own spelling, and reading them.
Does not: loading anything (llamacpp_engine.py); the table is plain values, xllamacpp is not imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from slipway.engines import flags
from slipway.engines.flags import ON_OFF, EngineSettings, decimal, integer, one_of, text


@dataclass(frozen=True)
class Flag(flags.Flag):
    """Where a flag goes in xllamacpp's CommonParams besides.

    `enum` names the xllamacpp enum that the (string) value is a member of. A default of None leaves
    llama.cpp's own.
    """

    field: str
    enum: str | None = None


_CACHE_TYPE = one_of(
    {
        name: f"GGML_TYPE_{name.upper()}"
        for name in ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
    }
)
_FLASH_ATTENTION = one_of(
    {
        "auto": "LLAMA_FLASH_ATTN_TYPE_AUTO",
        "on": "LLAMA_FLASH_ATTN_TYPE_ENABLED",
        "off": "LLAMA_FLASH_ATTN_TYPE_DISABLED",
    }
)
_ROPE_SCALING = one_of(
    {name: f"LLAMA_ROPE_SCALING_TYPE_{name.upper()}" for name in ("none", "linear", "yarn")}
)
_POOLING = one_of({name: f"LLAMA_POOLING_TYPE_{name.upper()}" for name in ("mean", "cls", "last")})
_LOAD_MODE = one_of(
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
    "--ctx-size": Flag("n_ctx", read=integer(64, 2**24)),
    "--parallel": Flag("n_parallel", read=integer(1, 64), default=1),
    "--threads": Flag("cpuparams.n_threads", read=integer(1, 512), default=1),
    "--threads-batch": Flag("cpuparams_batch.n_threads", read=integer(1, 512)),
    "--batch-size": Flag("n_batch", read=integer(32, 65_536)),
    "--ubatch-size": Flag("n_ubatch", read=integer(32, 65_536)),
    "--predict": Flag("n_predict", read=integer(1, 2**24)),
    "--cache-type-k": Flag("cache_type_k", read=_CACHE_TYPE, enum="ggml_type"),
    "--cache-type-v": Flag("cache_type_v", read=_CACHE_TYPE, enum="ggml_type"),
    "--cache-ram": Flag("cache_ram_mib", read=integer(0, 2**20), default=0),
    "--flash-attn": Flag("flash_attn_type", read=_FLASH_ATTENTION, enum="llama_flash_attn_type"),
    "--gpu-layers": Flag("n_gpu_layers", read=integer(0, 1000)),
    "--load-mode": Flag("load_mode", read=_LOAD_MODE, default="LLAMA_LOAD_MODE_MMAP", enum="llama_load_mode"),
    "--pooling": Flag("pooling_type", read=_POOLING, enum="llama_pooling_type"),  # of embeddings
    "--rope-scaling": Flag("rope_scaling_type", read=_ROPE_SCALING, enum="llama_rope_scaling_type"),
    "--rope-freq-base": Flag("rope_freq_base", read=decimal(1, 1e9)),
    "--rope-freq-scale": Flag("rope_freq_scale", read=decimal(0.001, 1)),
    "--chat-template": Flag("chat_template", read=text),
    "--jinja": Flag("use_jinja", read=ON_OFF),
    "--warmup": Flag("warmup", read=ON_OFF, default=True),
    "--temp": Flag("sampling.temp", read=decimal(0, 5)),
    "--top-k": Flag("sampling.top_k", read=integer(0, 2**20)),
    "--top-p": Flag("sampling.top_p", read=decimal(0, 1)),
    "--min-p": Flag("sampling.min_p", read=decimal(0, 1)),
    "--repeat-penalty": Flag("sampling.penalty_repeat", read=decimal(0, 10)),
}


def parse(args: Iterable[str]) -> EngineSettings:
    """Read engine arguments; `--threads-batch` follows `--threads`.

    Raises EngineRefusedError that names every unknown flag and every bad value.
    """
    settings = flags.parse(FLAGS, args)
    threads = {"--threads-batch": settings.values["--threads"]}
    return replace(settings, values={**threads, **settings.values})

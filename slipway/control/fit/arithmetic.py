"""Whether a model fits the GPU memory asked for, with the arithmetic shown.

Belongs here: the estimate for vLLM, from the weights' size and the model's config.json.
Does not: finding those (slipway.artifacts), the message's place in the catalog (slipway.control.check).

A lower bound: weights, and the KV cache of one sequence of the longest length, which vLLM insists on. What
activations and compiled graphs take comes on top, so "does not fit" is certain and "fits" is not. Layers that
attend to a window hold no more than that; where arguments change what is held (quantizing while loading,
offloading to the host), nothing is claimed.
KV cache of a token: 2 (key and value) x layers x KV heads x head size x bytes per value; with multi-head
latent attention (DeepSeek), layers x (KV rank + rotary size) x bytes per value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.catalog.deployment import Deployment
from slipway.catalog.fields import size_in_bytes
from slipway.runtimes.arguments import layout, parsing

_DEFAULT_UTILIZATION = 0.9  # vLLM's own
_VALUE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "half": 2, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}

# Arguments after which a card holds something else than the files say.
_CHANGING = ("quantization", "cpu-offload-gb", "hf-overrides")
# Fields of models that mix attention with layers of another kind, without saying which in layer_types.
_HYBRID = ("layers_block_type", "hybrid_override_pattern", "attn_layer_indices", "attn_type_list")


@dataclass(frozen=True)
class Fit:
    """Bytes that one card must hold and those that it has for them; `arithmetic` says how they come about."""

    needed_bytes: int
    available_bytes: int
    arithmetic: str

    @property
    def fits(self) -> bool:
        """False means that the engine cannot start."""
        return self.needed_bytes <= self.available_bytes


def judge(
    deployment: Deployment, weights_bytes: int, config: Mapping[str, Any], context_length: int | None
) -> Fit | None:
    """The estimate per card; None without resources.gpu.memory, or where config.json lacks what it takes.

    `weights_bytes` is the sum of the files' sizes, `context_length` the model's own field in the catalog.
    """
    gpu, tokens = deployment.resources.gpu, _longest(deployment, config, context_length)
    if any(_flag(deployment, name) is not None for name in _CHANGING):
        return None
    per_layer = _cache_bytes_per_token_and_layer(deployment, config)
    if gpu is None or gpu.memory is None or tokens is None or per_layer is None:
        return None
    full, windowed, window = _layers(config)
    per_token, cache_bytes = full * per_layer, per_layer * (full * tokens + windowed * min(tokens, window))
    utilization = float(_flag(deployment, "gpu-memory-utilization") or _DEFAULT_UTILIZATION)
    share = gpu.fraction if gpu.fraction is not None else 1.0
    divided = layout.of(deployment)
    if divided.data > 1 and _is_on(deployment, layout.EXPERT):
        return None  # experts go over all copies, the rest is in each
    cards = divided.tensor * divided.pipeline
    card_bytes = size_in_bytes(gpu.memory)
    available = int(card_bytes * share * utilization)
    needed = (weights_bytes + cache_bytes) // cards
    sliding = f" + {windowed} layers x {min(tokens, window)} tokens x {per_layer} bytes" if windowed else ""
    arithmetic = (
        f"(weights {_gib(weights_bytes)} + KV cache {tokens} tokens x {per_token} bytes{sliding} = "
        f"{_gib(cache_bytes)}) / {cards} cards = {_gib(needed)}, and a card has {_gib(card_bytes)} x "
        f"{utilization:g}{f' x {share:g}' if share < 1 else ''} = {_gib(available)}"
    )
    return Fit(needed, available, arithmetic)


def _longest(deployment: Deployment, config: Mapping[str, Any], context_length: int | None) -> int | None:
    """The argument, then the catalog's field, then the model's own limit, as vLLM would take them."""
    asked = _flag(deployment, "max-model-len")
    if asked is not None:  # `auto` takes what fits
        return parsing.size(asked)
    longest = context_length or _text_config(config).get("max_position_embeddings")
    return int(longest) if longest is not None else None


def _layers(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """Layers that keep every token, layers that keep a window of them, and that window.

    Where a window is given and the layers are not told apart, all of them may have it. Layers of other
    kinds, such as linear attention, keep no tokens.
    """
    text = _text_config(config)
    layers, window = int(text["num_hidden_layers"]), text.get("sliding_window")
    kinds = text.get("layer_types")
    if kinds:
        sliding = sum("sliding" in str(kind) for kind in kinds) if window else 0
        return sum(str(kind) == "full_attention" for kind in kinds), sliding, int(window or 0)
    if window and text.get("use_sliding_window", True):
        return 0, layers, int(window)
    return layers, 0, 0


def _cache_bytes_per_token_and_layer(deployment: Deployment, config: Mapping[str, Any]) -> int | None:
    text = _text_config(config)
    layers, heads, hidden = (
        text.get(name) for name in ("num_hidden_layers", "num_attention_heads", "hidden_size")
    )
    kind = _flag(deployment, "kv-cache-dtype") or str(text.get("dtype") or text.get("torch_dtype") or "")
    value_bytes = _VALUE_BYTES.get(kind, 2)
    if layers is None or any(text.get(name) for name in _HYBRID):
        return None
    if text.get("kv_lora_rank") is not None:
        return (int(text["kv_lora_rank"]) + int(text.get("qk_rope_head_dim") or 0)) * value_bytes
    size = text.get("head_dim") or (hidden // heads if hidden and heads else None)
    kv_heads = text.get("num_key_value_heads") or heads
    if size is None or kv_heads is None:
        return None
    return 2 * int(kv_heads) * int(size) * value_bytes


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a model with several modalities, the language model's part."""
    inner = config.get("text_config")
    return inner if isinstance(inner, Mapping) else config


def _flag(deployment: Deployment, name: str) -> str | None:
    """Value of an engine argument, in any spelling; the last one counts."""
    return parsing.parse(deployment.args).value(name)


def _is_on(deployment: Deployment, name: str) -> bool:
    given = parsing.parse(deployment.args).last(name)
    return deployment.parallelism.expert or (given is not None and given.on)


def _gib(amount: int) -> str:
    return f"{amount / 2**30:.1f} GiB"

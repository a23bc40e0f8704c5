from typing import Any

import pytest

from slipway.catalog import Deployment
from slipway.catalog.deployment import Parallelism
from slipway.control.fit import arithmetic as fit

GIB = 2**30
# Llama 3.1 8B, as its config.json says.
LLAMA_8B = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "max_position_embeddings": 131_072,
    "torch_dtype": "bfloat16",
}
WEIGHTS = 15 * GIB
PER_TOKEN = 2 * 32 * 8 * (4096 // 32) * 2


def judged(*args: str, memory: str | None = "24Gi", context: int | None = None, **gpu: Any) -> fit.Fit | None:
    deployment = Deployment.model_validate(
        {
            "name": "c",
            "model": "m",
            "runtime": "vllm",
            "engine": "e",
            "args": args,
            "resources": {"gpu": {"memory": memory, **gpu} if memory else gpu},
        }
    )
    return fit.judge(deployment, WEIGHTS, LLAMA_8B, context)


def test_the_longest_sequence_must_fit_beside_the_weights() -> None:
    whole, shorter = judged(), judged("--max-model-len=8192")
    assert whole is not None and shorter is not None
    assert whole.needed_bytes == WEIGHTS + 131_072 * PER_TOKEN and not whole.fits
    assert shorter.needed_bytes == WEIGHTS + 8192 * PER_TOKEN and shorter.fits
    assert shorter.available_bytes == int(24 * GIB * 0.9)


def test_the_arithmetic_is_shown() -> None:
    found = judged("--max-model-len=8192")
    assert found is not None
    assert found.arithmetic == (
        f"(weights 15.0 GiB + KV cache 8192 tokens x {PER_TOKEN} bytes = 1.0 GiB) / 1 cards = 16.0 GiB, "
        "and a card has 24.0 GiB x 0.9 = 21.6 GiB"
    )


def test_cards_share_the_load_and_a_fraction_is_a_part_of_a_card() -> None:
    alone, two = judged(context=8192), judged(context=8192, count=2)
    half = judged(context=8192, fraction=0.5)
    assert alone is not None and two is not None and half is not None
    assert two.needed_bytes == alone.needed_bytes // 2
    assert half.available_bytes == int(24 * GIB * 0.5 * 0.9) and not half.fits


def test_arguments_that_change_the_cache_count() -> None:
    plain, small = judged(context=8192), judged("--kv-cache-dtype=fp8", context=8192)
    lean = judged("--gpu_memory_utilization=0.5", context=8192)
    assert plain is not None and small is not None and lean is not None
    assert plain.needed_bytes - small.needed_bytes == 8192 * PER_TOKEN // 2
    assert lean.available_bytes == 12 * GIB


def test_latent_attention_and_several_modalities_are_read() -> None:
    deepseek = {
        "num_hidden_layers": 61,
        "kv_lora_rank": 512,
        "qk_rope_head_dim": 64,
        "num_attention_heads": 128,
    }
    deployment = Deployment.model_validate(
        {
            "name": "c",
            "model": "m",
            "runtime": "vllm",
            "engine": "e",
            "resources": {"gpu": {"memory": "80Gi"}},
        }
    )
    found = fit.judge(deployment, 0, {"text_config": deepseek}, 1000)
    assert found is not None and found.needed_bytes == 1000 * 61 * (512 + 64) * 2


@pytest.mark.parametrize("config", [{}, {"num_hidden_layers": 2}])
def test_without_the_numbers_nothing_is_claimed(config: dict[str, Any]) -> None:
    deployment = Deployment.model_validate(
        {
            "name": "c",
            "model": "m",
            "runtime": "vllm",
            "engine": "e",
            "resources": {"gpu": {"memory": "80Gi"}},
        }
    )
    assert fit.judge(deployment, WEIGHTS, config, 4096) is None
    assert judged(memory=None) is None


def judged_of(config: dict[str, Any], *args: str) -> fit.Fit | None:
    deployment = Deployment.model_validate(
        {
            "name": "c",
            "model": "m",
            "runtime": "vllm",
            "engine": "e",
            "args": args,
            "resources": {"gpu": {"memory": "80Gi"}},
        }
    )
    return fit.judge(deployment, 0, {**LLAMA_8B, **config}, 8192)


@pytest.mark.parametrize(
    ("config", "layer_tokens"),
    [
        ({"sliding_window": 1024, "layer_types": ["full_attention", "sliding_attention"] * 16}, 8192 + 1024),
        ({"sliding_window": 1024}, 2 * 1024),  # which layers have it is not told: perhaps all
        ({"sliding_window": 1024, "use_sliding_window": False}, 2 * 8192),
        ({"layer_types": ["full_attention", "linear_attention"] * 16}, 8192),
    ],
)
def test_layers_with_a_window_or_without_a_cache_hold_less(config: dict[str, Any], layer_tokens: int) -> None:
    found = judged_of(config)
    assert found is not None
    assert found.needed_bytes == 16 * layer_tokens * PER_TOKEN // 32


@pytest.mark.parametrize(
    "args", [["--max-model-len=4096"], ["--max-model-len", "4096"], ["--max_model_len", "4K"]], ids=str
)
def test_the_longest_context_is_read_in_any_spelling(args: list[str]) -> None:
    found = judged_of({}, *args)
    assert found is not None and found.needed_bytes == 4096 * PER_TOKEN


@pytest.mark.parametrize(
    ("args", "cards"), [([], 4), (["-pp", "2"], 4), (["--data-parallel-size=2"], 2), (["-dp=4"], 1)], ids=str
)
def test_copies_hold_the_model_once_each(args: list[str], cards: int) -> None:
    deployment = Deployment.model_validate(
        {
            "name": "c",
            "model": "m",
            "runtime": "vllm",
            "engine": "e",
            "args": args,
            "resources": {"gpu": {"memory": "80Gi", "count": 4}},
        }
    )
    found = fit.judge(deployment, WEIGHTS, LLAMA_8B, 1024)
    assert found is not None and found.needed_bytes == (WEIGHTS + 1024 * PER_TOKEN) // cards
    mixed = deployment.model_copy(update={"parallelism": Parallelism(expert=True)})
    assert fit.judge(mixed, WEIGHTS, LLAMA_8B, 1024) == (None if cards < 4 else found)


@pytest.mark.parametrize("arg", ["--quantization=fp8", "--cpu-offload-gb=20", "--max-model-len=auto"])
def test_arguments_that_make_room_by_themselves_leave_nothing_to_claim(arg: str) -> None:
    assert judged_of({}, arg) is None
    assert judged_of({"hybrid_override_pattern": "M*M*"}) is None

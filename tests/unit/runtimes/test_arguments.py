"""Engine arguments are read once for all runtimes, as vLLM's own parser reads them."""

from typing import Any

import pytest

from slipway.runtimes.arguments import keywords, parsing
from slipway.runtimes.arguments.parsing import OF_ANY

READ: list[tuple[list[str], dict[str, Any]]] = [
    (["--dtype", "bfloat16"], {"dtype": "bfloat16"}),
    (["--dtype=bfloat16"], {"dtype": "bfloat16"}),
    (["-tp", "2"], {"tensor_parallel_size": 2}),
    (["-tp=2"], {"tensor_parallel_size": 2}),
    (
        ["-pp", "2", "-dp", "3", "-dcp", "4"],
        {
            "pipeline_parallel_size": 2,
            "data_parallel_size": 3,
            "decode_context_parallel_size": 4,
        },
    ),
    (["-q", "awq"], {"quantization": "awq"}),
    (["-qawq"], {"quantization": "awq"}),
    (["-O3"], {"optimization_level": 3}),
    (["-O", "2"], {"optimization_level": 2}),
    (["-O.mode=3"], {"compilation_config": {"mode": 3}}),
    (["-ep"], {"enable_expert_parallel": True}),
    (["--max_num_seqs", "7"], {"max_num_seqs": 7}),
    (["--max-num-seqs=7"], {"max_num_seqs": 7}),
    (["--tensor-par", "2"], {"tensor_parallel_size": 2}),
    (["--enforce-eager", "--dtype", "half"], {"enforce_eager": True, "dtype": "half"}),
    (["--no-enforce-eager"], {"enforce_eager": False}),
    (["--no_enable_chunked_prefill"], {"enable_chunked_prefill": False}),
    (["--enforce-eager=true"], {"enforce_eager": True}),
    (["--enforce-eager=False"], {"enforce_eager": False}),
    (["--seed", "-1"], {"seed": -1}),
    (["--max-model-len", "32k"], {"max_model_len": 32_000}),
    (["--max-model-len=32K"], {"max_model_len": 32_768}),
    (["--max-model-len=auto"], {"max_model_len": "auto"}),
    (["--max-num-batched-tokens=1.5k"], {"max_num_batched_tokens": 1500}),
    (["--gpu-memory-utilization", "0.8"], {"gpu_memory_utilization": 0.8}),
    (["--revision=1.0"], {"revision": "1.0"}),
    (["--generation-config", "vllm"], {"generation_config": "vllm"}),
    (["--hf-overrides", '{"a": {"b": 1}}'], {"hf_overrides": {"a": {"b": 1}}}),
    (
        ["--speculative-config.method=ngram", "--speculative-config.num_speculative_tokens", "3"],
        {
            "speculative_config": {"method": "ngram", "num_speculative_tokens": 3},
        },
    ),
    (
        ["--compilation-config.sizes+", "1,2", "--compilation-config.sizes+=4"],
        {
            "compilation_config": {"sizes": [1, 2, 4]},
        },
    ),
    (["--cudagraph-capture-sizes", "1", "2", "4"], {"cudagraph_capture_sizes": [1, 2, 4]}),
    (
        ["--allowed-origins", "a", "b", "--enforce-eager"],
        {
            "allowed_origins": ["a", "b"],
            "enforce_eager": True,
        },
    ),
    (["--limit-mm-per-prompt", '{"image": 2}'], {"limit_mm_per_prompt": {"image": 2}}),
    (["--dtype=half", "--dtype=auto"], {"dtype": "auto"}),
    (["--an-option-of-tomorrow", "7"], {"an_option_of_tomorrow": 7}),
    (["--a-flag-of-tomorrow", "--dtype=half"], {"a_flag_of_tomorrow": True, "dtype": "half"}),
]


@pytest.mark.parametrize(("words", "wanted"), READ, ids=[" ".join(words) for words, _ in READ])
def test_arguments_are_read_as_vllm_reads_them(words: list[str], wanted: dict[str, Any]) -> None:
    assert parsing.parse(words).unreadable == ()
    assert keywords.of(words) == wanted


UNREADABLE: list[tuple[list[str], int, str]] = [
    (["--max-model-len 8192"], 0, "Write --max-model-len=8192, or two items of the list"),
    (["-tp 2"], 0, "Write -tp=2, or two items of the list"),
    (["bfloat16"], 0, "belongs to no option"),
    (["--dtype", "half", "float"], 2, "belongs to no option"),
    (["--enforce-eager", "true"], 1, "belongs to no option"),
    (["--enforce-eager=1"], 0, "takes no value. Write --enforce-eager, or --no-enforce-eager"),
    (["--dtype"], 0, "has no value. Write --dtype=..."),
    (["--dtype", "--enforce-eager"], 0, "has no value. Write --dtype=..."),
    (["--no-dtype"], 0, "is the opposite of an option with a value"),
    (["-tp2"], 0, "is no option of the engine. Write its long name"),
    (["-x", "2"], 0, "is no option of the engine. Write its long name"),
    (["serve"], 0, "belongs to no option"),
    ([""], 0, "belongs to no option"),
]


@pytest.mark.parametrize(
    ("words", "at", "reason"), UNREADABLE, ids=[" ".join(each[0]) for each in UNREADABLE]
)
def test_what_vllm_could_not_read_is_told_with_what_to_write(words: list[str], at: int, reason: str) -> None:
    found = {each.at: each.reason for each in parsing.parse(words).unreadable}
    assert reason in found[at]


def test_a_value_with_spaces_is_one_word_behind_its_equals_sign() -> None:
    assert parsing.parse(["--chat-template={{ a b }}"]).value("chat-template") == "{{ a b }}"
    assert parsing.parse(["--chat-template", "{{ a b }}"]).unreadable == ()


def test_options_of_an_unknown_engine_are_read_by_their_looks() -> None:
    parsed = parsing.parse(["--batch-size", "4", "--quiet", "-v"], OF_ANY)
    assert [(each.option, each.values) for each in parsed.arguments] == [
        ("batch-size", ("4",)),
        ("quiet", ()),
        ("v", ()),
    ]

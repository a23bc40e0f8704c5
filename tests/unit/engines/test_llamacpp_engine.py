from pathlib import Path

import gguf
import pytest

from slipway.engines.errors import EngineRefusedError
from slipway.engines.gguf_header import context_length, has_tensor
from slipway.engines.llamacpp_args import parse
from slipway.engines.llamacpp_engine import gguf_file, refuse_context, start
from slipway.engines.native_log import error_lines
from testbed import tiny_reranker


@pytest.fixture
def model_of_4096(tmp_path: Path) -> Path:
    """A GGUF file without tensors whose metadata say more than the context length, arrays before it."""
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "bc", "def"])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5, 2.5])
    writer.add_bool("a.flag", True)
    writer.add_context_length(4096)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_the_context_length_is_read_from_the_header(model_of_4096: Path) -> None:
    assert context_length(model_of_4096) == 4096


def test_a_model_without_a_classifier_is_refused_for_reranking(model_of_4096: Path, tmp_path: Path) -> None:
    assert has_tensor(tiny_reranker.write(tmp_path / "ranks.gguf"), "cls.")
    assert not has_tensor(model_of_4096, "cls.")
    with pytest.raises(EngineRefusedError, match=r"model\.gguf does not rerank"):
        start(model_of_4096, [], parse(()), "ranks", task="rerank")


def test_a_file_that_is_not_gguf_or_is_cut_off_is_named(model_of_4096: Path) -> None:
    cut = model_of_4096.with_name("cut.gguf")
    cut.write_bytes(model_of_4096.read_bytes()[:60])
    other = model_of_4096.with_name("README.gguf")
    other.write_bytes(b"# hello")
    for path in (cut, other):
        with pytest.raises(EngineRefusedError, match=path.name):
            context_length(path)


def test_a_context_beyond_the_models_is_refused_before_it_takes_the_memory(model_of_4096: Path) -> None:
    refuse_context(model_of_4096, parse(("--ctx-size=8192", "--parallel=2")))
    refuse_context(model_of_4096, parse(("--ctx-size=8192", "--rope-scaling=yarn")))
    with pytest.raises(EngineRefusedError, match=r"--ctx-size=8193.*4096.*at most 8192"):
        refuse_context(model_of_4096, parse(("--ctx-size=8193", "--parallel=2")))


def test_the_one_model_file_is_found_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "README.md").touch()
    (tmp_path / "deep" / "m.gguf").touch()
    assert gguf_file(tmp_path) == tmp_path / "deep" / "m.gguf"


def test_of_numbered_parts_the_first_is_loaded(tmp_path: Path) -> None:
    for part in (1, 2, 3):
        (tmp_path / f"m-0000{part}-of-00003.gguf").touch()
    assert gguf_file(tmp_path).name == "m-00001-of-00003.gguf"


@pytest.mark.parametrize("names", [[], ["a.gguf", "b.gguf"], ["README.md"]])
def test_none_or_several_models_are_refused_by_name(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(EngineRefusedError, match="include") as refused:
        gguf_file(tmp_path)
    assert all(name in str(refused.value) for name in names if name.endswith(".gguf"))


def test_the_engines_own_words_are_found_in_its_log() -> None:
    log = (
        "0.00.003.4 I srv load_model: loading\n"
        "0.00.174.5 E llama_init: quantized V cache requires flash_attn\n"
        "0.00.174.6 E cmn  common_init_: failed\n"
        "0.00.174.7 E cmn  common_init_: failed\n"
    )
    assert error_lines(log) == [
        "llama_init: quantized V cache requires flash_attn",
        "cmn common_init_: failed",
    ]

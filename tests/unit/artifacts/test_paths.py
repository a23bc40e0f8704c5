import pytest
from huggingface_hub.utils import filter_repo_objects

from slipway.artifacts.errors import SourceError
from slipway.artifacts.source import Digest, SourceFile
from slipway.artifacts.weights.paths import problem_with, wanted


def files(*paths: str) -> list[SourceFile]:
    return [SourceFile(path, 1, Digest("sha256", "0" * 64)) for path in paths]


REPOSITORY = files(
    "model-1.safetensors", "model-2.safetensors", "config.json", "onnx/model.onnx", "onnx/a/b.txt"
)


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (
            (),
            (),
            ["config.json", "model-1.safetensors", "model-2.safetensors", "onnx/a/b.txt", "onnx/model.onnx"],
        ),
        (("*.safetensors", "*.json"), (), ["config.json", "model-1.safetensors", "model-2.safetensors"]),
        ((), ("onnx/",), ["config.json", "model-1.safetensors", "model-2.safetensors"]),
        (("onnx/*",), ("*.onnx",), ["onnx/a/b.txt"]),
    ],
)
def test_patterns_choose_files_as_at_the_hub(
    include: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    assert [file.path for file in wanted(REPOSITORY, include, exclude, source="hf://a/b")] == expected


@pytest.mark.parametrize(
    ("include", "exclude"),
    [
        ((), ()),
        (("*.json",), ()),
        (("onnx/",), ()),
        ((), ("onnx/",)),
        (("onnx/*",), ("*.onnx",)),
        (("model-[12].*",), ()),
        (("model-?.safetensors", "*/b.txt"), ("*2*",)),
        (("MODEL*", "config.json"), ()),
    ],
)
def test_patterns_choose_what_huggingface_hub_would(
    include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    theirs = filter_repo_objects(
        [file.path for file in REPOSITORY],
        allow_patterns=list(include) or None,
        ignore_patterns=list(exclude) or None,
    )
    chosen = wanted(REPOSITORY, include, exclude, source="hf://a/b")
    assert [file.path for file in chosen] == sorted(theirs)


def test_patterns_that_choose_nothing_are_named() -> None:
    with pytest.raises(SourceError, match=r"hf://a/b: no file matches include=\['\*.gguf'\]"):
        wanted(REPOSITORY, ("*.gguf",), (), source="hf://a/b")


@pytest.mark.parametrize(
    "path",
    [
        "../evil",
        "a/../../b",
        "/etc/passwd",
        "a//b",
        "./a",
        "a/.",
        "",
        "a\\..\\b",
        "a\nb",
        "a\x7f",
        "manifest.json",
        "not-utf8-\udcff",
        "a" * 256,
        "/".join(["b" * 100] * 9),
    ],
)
def test_a_path_that_could_leave_its_folder_never_becomes_a_key(path: str) -> None:
    assert problem_with(path)
    with pytest.raises(SourceError, match="exclude"):
        wanted(files("fine.bin", path), (), (), source="hf://a/b")


@pytest.mark.parametrize(
    "path", ["a", ".gitattributes", "a/b/c.bin", "a..b", "...", "sub/manifest.json", "ä b"]
)
def test_an_ordinary_path_is_taken(path: str) -> None:
    assert problem_with(path) is None


def test_a_path_that_is_left_out_does_no_harm() -> None:
    chosen = wanted(files("fine.bin", "manifest.json"), (), ("manifest.json",), source="hf://a/b")
    assert [file.path for file in chosen] == ["fine.bin"]

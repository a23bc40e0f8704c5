import json
import pickle

import pytest

from slipway.artifacts.source import SourceFile
from slipway.artifacts.weights.foreign_text import problem
from slipway.artifacts.weights.paths import wanted

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 5\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
EVERY_NAME = [
    "pytorch_model.bin",
    "model.pt",
    "model.PTH",
    "onnx/model.onnx",
    "onnx/model.onnx_data",
    "flax_model.msgpack",
    "tf_model.h5",
    "model.gguf",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "config.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "model.ckpt",
    "weights",
]


@pytest.mark.parametrize("path", [*EVERY_NAME, "README.md"])
@pytest.mark.parametrize(
    "pointer",
    [POINTER, POINTER.replace(b"git-lfs.github", b"hawser.github"), b"# xet version 0\nfilesize = 9\n"],
)
def test_a_pointer_is_refused_under_every_name(path: str, pointer: bytes) -> None:
    said = problem(path, pointer, len(pointer))
    assert said is not None
    assert "pointer, not the file that it stands for" in said


def test_a_pointer_of_git_annex_is_one_too() -> None:
    assert problem("model.bin", b"/annex/objects/SHA256E-s5--00\n", 30) is not None


@pytest.mark.parametrize("path", EVERY_NAME)
@pytest.mark.parametrize(
    "page",
    [
        PAGE,
        b"\xef\xbb\xbf\r\n  " + PAGE,
        b"<HTML>\n<BODY>no</BODY></HTML>",
        b"<!-- portal --><html lang='en'>",
        b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC '-//W3C'>",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    ],
)
def test_a_page_is_refused_under_every_name_but_those_of_pages(path: str, page: bytes) -> None:
    said = problem(path, page, len(page))
    assert said is not None
    assert "not the file of that name" in said
    assert problem("docs/index.html", page, len(page)) is None
    assert problem("README.md", page, len(page)) is None


@pytest.mark.parametrize(
    "text", [b"Not Found", b'{"error": "gated"}', "caf\u00e9 ".encode() * 400, b"oid 5\n"]
)
@pytest.mark.parametrize("path", ["a.bin", "a.pt", "a.onnx", "a.h5", "a.msgpack", "a.npz"])
def test_text_is_refused_where_bytes_of_weights_are_due(path: str, text: bytes) -> None:
    said = problem(path, text, len(text))
    assert said is not None
    assert "is text where bytes of weights are due: it begins with" in said


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("pytorch_model.bin", b"PK\x03\x04" + bytes(30)),
        ("old.pt", pickle.dumps({"a": 1})),
        ("model.nemo", b"./model_config.yaml" + bytes(81)),
        ("ggml.bin", b"lmgg" + bytes(10)),
        ("model.npy", b"\x93NUMPY\x01\x00v\x00{"),
        ("latin.bin", "na\u00efve".encode("latin-1")),
        ("tokenizer.model", b"IQ== 0\nIg== 1\n"),  # tiktoken's, which is text
        ("tokenizer.json", json.dumps({"version": "1.0"}).encode()),
        ("vocab.txt", b"[PAD]\n<html>\n"),  # a token
        ("chat_template.jinja", b"{% for message in messages %}<head>"),
        ("empty.bin", b""),
    ],
)
def test_what_is_as_its_name_says_is_taken(path: str, body: bytes) -> None:
    assert problem(path, body, len(body)) is None


def test_a_long_text_is_text_though_its_head_ends_within_a_letter() -> None:
    text = b"x" * 1023 + "\u00e9".encode() + b"x" * 5000
    assert problem("a.bin", text, len(text)) is not None


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".git/lfs/objects/aa/bb/x.safetensors",
        ".git",
        "sub/.git/HEAD",
        ".hg/store",
        "a/.svn/entries",
        ".cache/huggingface/download/x.metadata",
        "__pycache__/modeling.pyc",
        ".DS_Store",
        ".ipynb_checkpoints/a.json",
    ],
)
def test_what_tools_keep_beside_weights_is_never_published(path: str) -> None:
    files = [
        SourceFile(path, 1, None),
        SourceFile("model.gguf", 1, None),
        SourceFile(".gitattributes", 1, None),
    ]
    for include in ((), ("*",), (path, "model.gguf", ".gitattributes")):
        taken = wanted(files, include, (), source="file:///m")
        assert [file.path for file in taken] == [".gitattributes", "model.gguf"]

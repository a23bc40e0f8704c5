"""Text that came in place of a file: a pointer to it, a page about it, or any other where weights are due.

Belongs here: telling by a name and the first bytes.
Does not: formats of weights (safetensors.py, gguf.py), reading files (inspection.py).

Such text is of the right size and has the right digest, as far as its source knows: a clone without git-lfs
holds pointers, and a mirror behind a captive portal has stored its login page under every name.
"""

from __future__ import annotations

import codecs
import posixpath
import re

# So many of a file's first bytes tell.
HEAD_BYTES = 1024
_POINTERS = (
    (b"version https://git-lfs.github.com/spec/", "a git-lfs pointer"),
    (b"version https://hawser.github.com/spec/", "a git-lfs pointer"),
    (b"# xet version", "a git-xet pointer"),
    (b"/annex/objects/", "a git-annex pointer"),
)
_PAGE = re.compile(
    rb"^(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE | re.DOTALL
)
_REFUSAL = re.compile(rb"^(<\?xml[^>]*>\s*)?<error>\s*<code>", re.IGNORECASE)
# Where a page may be what is meant.
_PAGES = frozenset({".html", ".htm", ".xhtml", ".md", ".markdown", ".rst", ".xml", ".svg"})
# No file of these is text (nor of GGUF and safetensors, which have formats to judge by). Some tokenizers
# named `.model` are, in base64 by lines.
_BINARY = frozenset(
    {
        ".bin",
        ".ckpt",
        ".ggml",
        ".h5",
        ".hdf5",
        ".keras",
        ".mlmodel",
        ".msgpack",
        ".nemo",
        ".npy",
        ".npz",
        ".onnx",
        ".onnx_data",
        ".ot",
        ".pdiparams",
        ".pdparams",
        ".pt",
        ".pt2",
        ".pte",
        ".pth",
        ".spm",
        ".tflite",
    }
)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def problem(path: str, head: bytes, size_bytes: int) -> str | None:
    """Why these first bytes are not the file of that name; None when they may be."""
    head = head[:HEAD_BYTES]
    for beginning, what in _POINTERS:
        if head.startswith(beginning):
            return f"is {what}, not the file that it stands for"
    suffix = posixpath.splitext(path)[1].lower()
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if suffix not in _PAGES and _PAGE.match(text):
        return f"is an HTML page, not the file of that name: it begins with {_shown(text)}"
    if suffix not in _PAGES and _REFUSAL.match(text):
        return f"is a store's refusal, not the file of that name: it begins with {_shown(text)}"
    if suffix in _BINARY and head and _is_text(head, size_bytes):
        return f"is text where bytes of weights are due: it begins with {_shown(text)}"
    return None


def _is_text(head: bytes, size_bytes: int) -> bool:
    if _NO_TEXT.search(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) >= size_bytes)
    except UnicodeDecodeError:
        return False
    return True


def _shown(text: bytes) -> str:
    return repr(" ".join(text[:40].decode(errors="replace").split()))

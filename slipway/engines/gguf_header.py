"""The header of a GGUF file, as far as an engine must know it before it loads.

Belongs here: reading single metadata values and names of tensors (gguf's reader takes seconds for them).
Does not: what tensors hold, writing.
Layout: github.com/ggml-org/ggml, docs/gguf.md (version 3, little endian).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from slipway.engines.errors import EngineRefusedError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

Scalar = int | float | bool | str


def context_length(path: Path) -> int | None:
    """Longest context in tokens that the model was trained for; None when the file does not say.

    Raises EngineRefusedError when the file is not GGUF.
    """
    with _opened(path) as (file, count, _):
        for _ in range(count):
            key, value = _string(file), _value(file)
            if key.endswith(".context_length") and isinstance(value, int):
                return value
    return None


def has_tensor(path: Path, beginning: str) -> bool:
    """Whether the name of one of its tensors begins so; raises EngineRefusedError when it is not GGUF."""
    with _opened(path) as (file, count, tensors):
        for _ in range(count):
            _string(file)
            _value(file)
        for _ in range(tensors):
            if _string(file).startswith(beginning):
                return True
            (dimensions,) = struct.unpack("<I", file.read(4))
            file.seek(8 * dimensions + struct.calcsize("<IQ"), 1)  # their lengths, the type, the place
    return False


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int, int]]:
    """The file behind its first bytes, and how many metadata values and tensors it has."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise EngineRefusedError(f"{path.name} is not a GGUF file. Name the right file in `include`.")
        try:
            _, tensors, count = struct.unpack("<IQQ", file.read(20))
            yield file, count, tensors
        except struct.error:
            raise EngineRefusedError(
                f"{path.name} ends within its header. Pull its weights again: "
                "`slipway weights pull NAME --repair`."
            ) from None


def _value(file: BinaryIO) -> Scalar | None:
    kind = struct.unpack("<I", file.read(4))[0]
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        _skip_array(file)
        return None
    return _scalar(file, kind)


def _skip_array(file: BinaryIO) -> None:
    kind, length = struct.unpack("<IQ", file.read(12))
    if kind in _SCALARS:
        file.seek(length * struct.calcsize("<" + _SCALARS[kind]), 1)
        return
    for _ in range(length):
        if kind == _STRING:
            file.seek(struct.unpack("<Q", file.read(8))[0], 1)
        else:
            _skip_array(file)


def _scalar(file: BinaryIO, kind: int) -> Scalar:
    code = "<" + _SCALARS[kind]
    value: Scalar = struct.unpack(code, file.read(struct.calcsize(code)))[0]
    return value


def _string(file: BinaryIO) -> str:
    length = struct.unpack("<Q", file.read(8))[0]
    return file.read(length).decode(errors="replace")

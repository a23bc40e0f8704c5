"""What a safetensors file says of itself in its first bytes, and whether that can be true.

Belongs here: the format (https://github.com/huggingface/safetensors#format).
Does not: reading files, taking long headers apart (long_header.py).
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from slipway.artifacts.weights import long_header

PREFIX_BYTES = 8
# The limit of the format's own implementation.
LARGEST_HEADER_BYTES = 100_000_000
# A header of this size takes some 12 MB as Python objects. Longer ones are read entry by entry.
_SHORT_BYTES = 2**20
_PIECE_BYTES = 2**18
# Bits of one element. A type that is not here came after this was written: its sizes are not checked.
_BITS = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


class _NotThisFormatError(ValueError):
    """The file is not what its name says; the message says why."""


def needed_bytes(head: bytes, size_bytes: int) -> int:
    """How many of the file's first bytes `problem` must see, judging by those that are at hand."""
    if size_bytes < PREFIX_BYTES:
        return size_bytes
    if len(head) < PREFIX_BYTES:
        return PREFIX_BYTES
    length = _header_bytes(head)
    if length > LARGEST_HEADER_BYTES or PREFIX_BYTES + length > size_bytes:
        return PREFIX_BYTES
    return PREFIX_BYTES + length


def problem(head: bytes, size_bytes: int) -> str | None:
    """Why these first bytes cannot begin a whole file of this size; None when they can."""
    return problem_in(iter([head]), size_bytes)


def problem_in(pieces: Iterator[bytes], size_bytes: int) -> str | None:
    """The same of a beginning that comes in pieces, until the header has come.

    Memory is bounded, whatever the header holds: by an entry, and two numbers for each tensor.
    """
    try:
        _check(_Beginning(pieces), size_bytes)
    except _NotThisFormatError as error:
        return str(error)
    return None


def _check(beginning: _Beginning, size_bytes: int) -> None:
    if size_bytes < PREFIX_BYTES:
        raise _NotThisFormatError(f"{size_bytes} bytes are too few for a safetensors file")
    length = _header_bytes(b"".join(beginning.take(PREFIX_BYTES)))
    if length > LARGEST_HEADER_BYTES or PREFIX_BYTES + length > size_bytes:
        raise _NotThisFormatError(f"its header would be {length} bytes long, which is no safetensors header")
    header = beginning.take(length)
    whole = PREFIX_BYTES + length
    whole += _end_of_short(b"".join(header)) if length <= _SHORT_BYTES else _end_of_long(header)
    if whole != size_bytes:
        raise _NotThisFormatError(f"by its safetensors header it has {whole} bytes, but it has {size_bytes}")


def _end_of_short(text: bytes) -> int:
    """Where the last tensor ends, by a header that may be in memory as a whole."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        at = f" at byte {error.pos} of it" if isinstance(error, json.JSONDecodeError) else ""
        raise _NotThisFormatError(f"its safetensors header is not JSON{at}") from error
    if not isinstance(header, dict):
        raise _NotThisFormatError("its safetensors header is not a JSON object")
    header.pop(long_header.METADATA, None)
    return _end_of_tensors({name: _extent(name, tensor) for name, tensor in header.items()})


def _end_of_long(pieces: Iterator[bytes]) -> int:
    """The same, entry by entry. Writers put tensors in the order of their bytes; any other is sorted."""
    begins, ends = array("Q"), array("Q")
    try:
        for name, tensor in long_header.entries(pieces):
            begin, end = _extent(name, tensor)
            begins.append(begin)
            ends.append(end)
    except long_header.NotJsonError as error:
        raise _NotThisFormatError(f"its safetensors header {error}") from error
    except OverflowError as error:
        raise _NotThisFormatError("a tensor would end beyond 2**64 bytes") from error
    order: Iterable[int] = range(len(begins))
    if any(begins[number] < begins[number - 1] for number in range(1, len(begins))):
        # Empty tensors begin where others do, and come first.
        order = sorted(sorted(order, key=ends.__getitem__), key=begins.__getitem__)
    at = 0
    for number in order:
        if begins[number] != at:
            raise _NotThisFormatError(
                f"a tensor begins at {begins[number]} where the one before it ends at {at}"
            )
        at = ends[number]
    return at


class _Beginning:
    """A file's first bytes as they come."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def take(self, count_bytes: int) -> Iterator[bytes]:
        """The next bytes, piece by piece; fewer where no more come."""
        while count_bytes:
            piece = self._left or next(self._pieces, b"")
            if not piece:
                return
            piece, self._left = piece[:count_bytes], piece[count_bytes:]
            count_bytes -= len(piece)
            yield from (piece[at : at + _PIECE_BYTES] for at in range(0, len(piece), _PIECE_BYTES))


def _header_bytes(head: bytes) -> int:
    return int.from_bytes(head[:PREFIX_BYTES], "little")


def _extent(name: str, tensor: Any) -> tuple[int, int]:
    """(begin, end) of a tensor in the data; the distance must be its shape times its type."""
    try:
        kind, shape, (begin, end) = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
        numbers = [*shape, begin, end]
    except (TypeError, KeyError, ValueError) as error:
        raise _NotThisFormatError(f"tensor {name!r} lacks dtype, shape or data_offsets") from error
    if (
        any(not isinstance(each, int) or isinstance(each, bool) or each < 0 for each in numbers)
        or end < begin
    ):
        raise _NotThisFormatError(f"tensor {name!r} has shape {shape} at {begin} to {end}")
    bits = _BITS.get(kind) if isinstance(kind, str) else None
    if bits is not None and math.prod(shape) * bits != (end - begin) * 8:
        raise _NotThisFormatError(
            f"tensor {name!r} ({kind} {shape}) has {end - begin} bytes, not {math.prod(shape) * bits / 8:g}"
        )
    return begin, end


def _end_of_tensors(extents: dict[str, tuple[int, int]]) -> int:
    """Where the last tensor ends; they must follow one another from 0 on, without gap or overlap."""
    at = 0
    for name, (begin, end) in sorted(extents.items(), key=lambda extent: extent[1]):
        if begin != at:
            raise _NotThisFormatError(
                f"tensor {name!r} begins at {begin} where the one before it ends at {at}"
            )
        at = end
    return at

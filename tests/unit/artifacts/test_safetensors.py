import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from slipway.artifacts.weights import safetensors

TENSORS: dict[str, Any] = {
    "__metadata__": {"format": "pt"},
    "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]},
    "a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]},
    "none": {"dtype": "F32", "shape": [0, 7], "data_offsets": [32, 32]},
}


def file_of(header: object, data_bytes: int) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data_bytes)


def problem_in(body: bytes) -> str | None:
    """As a reader does it that sees no more than it is asked for."""
    head = body[: safetensors.needed_bytes(body[:8], len(body))]
    assert safetensors.needed_bytes(head, len(body)) == len(head)
    return safetensors.problem(head, len(body))


def with_tensor(name: str, **changed: object) -> dict[str, Any]:
    return {**TENSORS, name: {**TENSORS[name], **changed}}


def test_a_whole_file_has_no_problem() -> None:
    assert problem_in(file_of(TENSORS, 32)) is None
    assert problem_in(file_of({}, 0)) is None


def test_a_type_of_less_than_a_byte_is_counted_in_bits() -> None:
    tensor = {"dtype": "F4", "shape": [3, 2], "data_offsets": [0, 3]}
    assert problem_in(file_of({"a": tensor}, 3)) is None
    assert "has 3 bytes, not 6" in str(problem_in(file_of({"a": {**tensor, "dtype": "U8"}}, 3)))


def test_a_type_from_the_future_is_not_refused() -> None:
    assert problem_in(file_of(with_tensor("a", dtype="F2_E1M0"), 32)) is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "0 bytes are too few"),
        (b"1234567", "7 bytes are too few"),
        (b"<html><body>not found", "its header would be"),
        ((100_000_001).to_bytes(8, "little") + b"{}", "its header would be 100000001 bytes"),
        (file_of(TENSORS, 32)[:40], "its header would be"),
        (file_of(b"{not json", 0), "is not JSON"),
        (file_of(b"\xff\xfe", 0), "is not JSON"),
        (file_of([], 0), "is not a JSON object"),
        (file_of(TENSORS, 31), "but it has"),
        (file_of(TENSORS, 33), "but it has"),
        (file_of(with_tensor("b", dtype="F16"), 32), "tensor 'b' (F16 [2, 3]) has 24 bytes, not 12"),
        (file_of(with_tensor("b", data_offsets=[7, 31]), 31), "tensor 'b' begins at 7"),
        (file_of(with_tensor("b", data_offsets=[9, 33]), 33), "tensor 'b' begins at 9"),
        (file_of(with_tensor("b", data_offsets=[32, 8]), 32), "tensor 'b' has shape"),
        (file_of(with_tensor("b", shape=[-2, -3]), 32), "tensor 'b' has shape"),
        (file_of(with_tensor("b", data_offsets=[8]), 32), "tensor 'b' lacks"),
        (file_of({"a": 7}, 0), "tensor 'a' lacks"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_told_why(body: bytes, said: str) -> None:
    assert said in str(problem_in(body))


def long_header(tensors: int, *, notes: str = "", shuffled: bool = False) -> bytes:
    """A header of that many tensors of two bytes, beyond what is parsed at once."""
    numbers = list(range(tensors))
    if shuffled:
        numbers.reverse()
    entries = []
    for number in numbers:
        tensor = {"dtype": "BF16", "shape": [1], "data_offsets": [2 * number, 2 * number + 2]}
        entries.append(f'"model.layers.{number}.weight": {json.dumps(tensor)}')
    return (
        "{" + json.dumps({"__metadata__": {"notes": notes}})[1:-1] + ", " + ",\n".join(entries) + "}  "
    ).encode()


def long_problem(header: bytes, data_bytes: int, piece_bytes: int = 65_521) -> str | None:
    size_bytes = 8 + len(header) + data_bytes

    def pieces() -> Iterator[bytes]:
        yield len(header).to_bytes(8, "little")
        for at in range(0, len(header), piece_bytes):
            yield header[at : at + piece_bytes]

    return safetensors.problem_in(pieces(), size_bytes)


MANY = 12_000


@pytest.mark.parametrize(
    ("notes", "shuffled"), [("", False), ("", True), ("x" * 1_200_000, False), ('}{\\"' * 200_000, False)]
)
def test_a_long_header_is_judged_as_a_short_one(notes: str, shuffled: bool) -> None:
    header = long_header(MANY, notes=notes, shuffled=shuffled)
    assert len(header) > 2**20
    assert long_problem(header, 2 * MANY) is None
    assert "but it has" in str(long_problem(header, 2 * MANY - 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            (b'"shape": [1], "data_offsets": [4000, 4002]', b'"shape": [2], "data_offsets": [4000, 4002]'),
            "has 2 bytes, not 4",
        ),
        ((b"[4000, 4002]", b"[4002, 4004]"), "a tensor begins at 4002 where"),
        ((b"[4000, 4002]", b"[99999999999999999999, 100000000000000000001]"), "beyond 2**64"),
        ((b"[4000, 4002]", b"[4000]"), "lacks dtype, shape or data_offsets"),
        ((b"[4000, 4002]", b"[" * 100_000 + b"]" * 100_000), "is not JSON at byte"),
        (
            (b'{"dtype": "BF16", "shape": [1], "data_offsets": [4000, 4002]}', b'{"a": {}}'),
            "is not JSON at byte",
        ),
        ((b'{"dtype": "BF16", "shape": [1], "data_offsets": [4000, 4002]}', b"7"), "is not JSON at byte"),
        ((b"}  ", b"}  x"), "is not JSON at byte"),
        ((b"}}  ", b"}"), "is not JSON at byte"),
        ((b'{"__meta', b'["__meta'), "is not a JSON object"),
        ((b'"model.layers.7.', b'"' + b"x" * 2_000_000 + b"model.layers.7."), "is not JSON at byte"),
    ],
)
def test_what_is_wrong_in_a_long_header_is_said(change: tuple[bytes, bytes], said: str) -> None:
    header = long_header(MANY).replace(*change)
    assert said in str(long_problem(header, 2 * MANY))


def test_a_short_header_that_is_nested_without_end_is_no_header() -> None:
    assert "is not JSON" in str(problem_in(file_of(b"[" * 100_000 + b"]" * 100_000, 0)))


def test_a_long_header_takes_a_fraction_of_its_size() -> None:
    """As one document it takes twelve times its size."""
    header = long_header(15_000)
    tracemalloc.start()
    try:
        assert long_problem(header, 30_000) is None
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < len(header)

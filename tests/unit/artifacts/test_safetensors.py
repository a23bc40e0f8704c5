import json
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

import json

import pytest

from slipway.artifacts.weights.inspection import index_problems

INDEX = "model.safetensors.index.json"
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
BODY = json.dumps({"metadata": {}, "weight_map": {"a": ONE, "b": TWO, "c": TWO}}).encode()
ALL = {INDEX, ONE, TWO, "config.json"}


def said(path: str, body: bytes, taken: set[str], offered: set[str] = ALL) -> str:
    return " ".join(str(each) for each in index_problems(path, body, taken, offered, "exclude=['x']"))


def test_an_index_whose_shards_are_all_there_has_no_problem() -> None:
    assert said(INDEX, BODY, ALL) == ""


def test_shards_are_looked_for_beside_their_index() -> None:
    nested = {f"sub/{path}" for path in ALL}
    assert said(f"sub/{INDEX}", BODY, nested, nested) == ""
    assert f"sub/{ONE}" in said(f"sub/{INDEX}", BODY, ALL | nested - {f"sub/{ONE}"}, ALL | nested)


def test_a_shard_that_the_patterns_leave_out_is_named_with_the_patterns() -> None:
    found = said(INDEX, BODY, ALL - {TWO})
    assert found.startswith(f"{INDEX}: names {TWO}, left out by exclude=['x']")
    assert "leave the index out" in found


def test_a_shard_that_the_source_lacks_is_named_as_its_fault() -> None:
    assert f"names {TWO}, which the source does not have" in said(INDEX, BODY, ALL - {TWO}, ALL - {TWO})


def test_the_index_of_a_format_that_was_left_out_altogether_is_let_be() -> None:
    bins = {"pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"}
    body = json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}).encode()
    taken = ALL | {"pytorch_model.bin.index.json"}
    assert said("pytorch_model.bin.index.json", body, taken, ALL | bins) == ""
    assert "left out by" in said(INDEX, BODY, {INDEX, "config.json"})  # here no weights were taken at all


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"weight_map": {}}', b'{"weight_map": {"a": 1}}']
)
def test_what_is_no_index_is_said_to_be_none(body: bytes) -> None:
    assert "is no index" in said(INDEX, body, ALL)

"""Weights that cannot be loaded are never published, though every byte is as the source lists it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.artifacts.errors import CorruptFileError
from slipway.artifacts.transfer.parts import MIB
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.verification import SAMPLED_SHARE, draw, verify
from slipway.stack.standin_hub import Repository, StandinHub

INDEX = "model.safetensors.index.json"
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture
def offer(hub: StandinHub, tmp_path: Path) -> Callable[[dict[str, bytes]], WeightsRequest]:
    """Puts files into a repository of the hub; returns the request for its newest commit."""
    repository = Repository("org/offered")
    hub.add(repository)

    def offer(files: dict[str, bytes]) -> WeightsRequest:
        for path, body in files.items():
            (tmp_path / path).write_bytes(body)
        commit = repository.commit({path: tmp_path / path for path in files})
        return WeightsRequest(name="offered", source=f"hf://{repository.id}@{commit.id}")

    return offer


@pytest.fixture
def sharded(safetensors) -> dict[str, bytes]:
    """A model of two shards and their index; the first has a header that is larger than one part."""
    index = {"metadata": {}, "weight_map": {"a": ONE, "b": TWO}}
    # 6 MiB of metadata put the tensor, and the end of the header, into the second part.
    header = {
        "__metadata__": {"notes": "x" * 6 * MIB},
        "w": {"dtype": "U8", "shape": [5], "data_offsets": [0, 5]},
    }
    text = json.dumps(header).encode()
    first = len(text).to_bytes(8, "little") + text + b"12345"
    return {INDEX: json.dumps(index).encode(), ONE: first, TWO: safetensors(b"weights")}


def test_whole_shards_and_their_index_are_published(pull, offer, sharded, store):
    manifest = pull(offer(sharded))
    assert verify(manifest, store, lambda look: None) == []


def test_each_file_that_cannot_be_right_is_named_and_nothing_is_published_until_it_is(
    pull, offer, sharded, store
):
    damaged = {
        **sharded,
        ONE: sharded[ONE][:-1],
        TWO: b"<html>not found</html>",
        "a.gguf": b"GGML" + bytes(99),
    }
    request = offer(damaged)
    with pytest.raises(CorruptFileError) as found:
        pull(request)
    said = str(found.value).splitlines()
    assert [line.split(" file ")[1].split(":")[0] for line in said[:-1]] == ["a.gguf", ONE, TWO]
    assert all("Ask its owner" in line for line in said[:-1])
    assert said[-1] == "Nothing was published."
    assert Manifest.read(store, "offered", request.source[-40:]) is None

    repaired = offer({**sharded, "a.gguf": b"GGUF" + bytes(99)})
    assert verify(pull(repaired), store, lambda look: None) == []


def test_a_pointer_in_place_of_the_file_is_said_to_be_one(pull, offer, sharded):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    with pytest.raises(CorruptFileError, match=rf"{TWO}: is a git-lfs pointer"):
        pull(offer({**sharded, TWO: pointer}))


def test_what_an_interrupted_pull_brought_is_inspected_too(pull, offer, sharded, store):
    request = offer({**sharded, TWO: b"<html>not found</html>"})
    for _ in range(2):
        with pytest.raises(CorruptFileError, match=TWO):
            pull(request)
    assert store.get(f"weights/offered/{request.source[-40:]}/{TWO}") == b"<html>not found</html>"


def test_an_index_whose_shard_the_patterns_leave_out_is_refused_with_the_patterns(
    pull, offer, sharded, store
):
    request = offer(sharded).model_copy(update={"exclude": (TWO,)})
    with pytest.raises(CorruptFileError, match=rf"{INDEX}: names {TWO}, left out by .*exclude=\['{TWO}'\]"):
        pull(request)
    assert Manifest.read(store, "offered", request.source[-40:]) is None
    without = pull(request.model_copy(update={"exclude": (TWO, INDEX)}))
    assert [file.path for file in without.files] == [ONE]


def test_an_index_whose_shard_the_source_lacks_is_refused(pull, offer, sharded):
    del sharded[TWO]
    with pytest.raises(CorruptFileError, match=rf"{INDEX}: names {TWO}, which the source does not have"):
        pull(offer(sharded))


def test_a_sampled_check_finds_wrong_sizes_beginnings_and_strangers_without_reading_everything(
    pull, offer, sharded, store
):
    manifest = pull(offer(sharded))
    read: list[int] = []
    # One that draws the large shard first, which is more than the share: nothing else is read whole.
    seed = next(seed for seed in range(100) if len(draw(manifest.files, SAMPLED_SHARE, seed)) == 1)

    def check() -> dict[str, str]:
        mismatches = verify(manifest, store, lambda look: read.append(look.total_bytes), "sampled", seed=seed)
        return {mismatch.path: mismatch.problem for mismatch in mismatches}

    assert check() == {}
    assert max(read) < manifest.size_bytes
    store.put(manifest.prefix + "stranger", b"x")
    store.put(manifest.prefix + ONE, sharded[ONE][:-1])
    store.put(manifest.prefix + TWO, b"\xff" * len(sharded[TWO]))
    found = check()
    assert found["stranger"] == "is not in the manifest"
    assert f"{len(sharded[ONE]) - 1} bytes" in found[ONE]
    assert "header" in found[TWO] or "sha256" in found[TWO]


def test_a_damaged_byte_is_found_by_the_sample_that_draws_its_file(pull, offer, sharded, store):
    manifest = pull(offer(sharded))
    store.put(manifest.prefix + TWO, sharded[TWO][:-1] + b"\0")
    found = [verify(manifest, store, print, "sampled", seed=seed) for seed in range(30)]
    assert [] in found
    assert any(found)
    assert all(each.path == TWO for mismatches in found for each in mismatches)

"""What a pull publishes, and that it does so once."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipway.artifacts.errors import PublishedDifferentlyError, SourceError
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.artifacts.weights.verification import verify
from slipway.stack.standin_hub import Repository, StandinHub


def test_a_pull_publishes_every_byte_of_the_commit(
    pull, tiny, store, content, repository, uploads_left, looks
):
    manifest = pull(tiny)
    assert {file.path: file.sha256 for file in manifest.files} == {
        path: hashlib.sha256(body).hexdigest() for path, body in content.files.items()
    }
    for path, body in content.files.items():
        assert store.get(manifest.prefix + path) == body
    assert manifest == Manifest.read(store, "tiny", repository.refs["main"])
    assert (manifest.commit, manifest.licence) == (repository.refs["main"], "mit")
    assert verify(manifest, store, looks.append) == []
    assert uploads_left() == []


def test_progress_ends_at_everything_and_never_beyond(pull, tiny, content, looks):
    pull(tiny)
    assert max(look.done_bytes for look in looks) == looks[-1].done_bytes == content.size_bytes
    assert (looks[-1].done_files, looks[-1].eta_s) == (len(content.files), 0.0)
    assert all(look.total_bytes == content.size_bytes for look in looks)


def test_a_second_pull_asks_the_hub_for_nothing(pull, tiny, hub):
    first = pull(tiny)
    hub.stop()
    assert pull(tiny) == first


def test_a_moving_ref_is_pulled_at_the_commit_that_it_means_now(pull, tiny, repository, tmp_path):
    moving = tiny.model_copy(update={"source": f"hf://{repository.id}@main"})
    first = pull(moving)
    assert first.commit == repository.refs["main"]
    (tmp_path / "config.json").write_bytes(b"{}")
    repository.commit_directory(tmp_path)
    assert pull(moving).commit == repository.refs["main"] != first.commit


def test_patterns_choose_what_is_published(pull, tiny, content, hub, store):
    chosen = pull(tiny.model_copy(update={"include": ("*.safetensors",), "exclude": ("sub/",)}))
    assert [file.path for file in chosen.files] == [content.large]
    assert {item.key for item in store.list(chosen.prefix)} == {
        chosen.prefix + content.large,
        chosen.prefix + "manifest.json",
    }
    assert {path for _, path in hub.requests} == {content.large}


def test_published_weights_that_lack_what_is_asked_for_now_are_named_with_the_remedy(pull, tiny, content):
    pull(tiny.model_copy(update={"include": ("*.json",)}))
    with pytest.raises(PublishedDifferentlyError, match="another name") as refused:
        pull(tiny)
    assert content.large in str(refused.value)


def test_published_weights_that_hold_more_than_is_asked_for_are_used(pull, tiny):
    everything = pull(tiny)
    assert pull(tiny.model_copy(update={"include": ("*.json",)})) == everything


def test_of_two_pulls_at_a_time_one_publishes_and_both_return_it(pull, tiny, store, uploads_left, looks):
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(pull, [tiny, tiny])
    assert one == two == Manifest.read(store, tiny.name, one.commit)
    assert verify(one, store, looks.append) == []
    assert uploads_left() == []


def test_what_another_run_published_meanwhile_wins(tiny, store, source, settings, content, looks):
    """The other run is this one's first progress report: it publishes while ours is under way."""
    other: list[Manifest] = []

    def overtaken(progress):
        if not other:
            other.append(None)
            other[0] = pull_weights(tiny, store, source, looks.append, settings)

    assert pull_weights(tiny, store, source, overtaken, settings) == other[0]


def test_a_small_page_size_of_the_listing_loses_no_file(pull, hub, tmp_path: Path):
    for number in range(1001):
        (tmp_path / f"{number:04}.txt").write_bytes(b"")
    repository = Repository("org/many")
    repository.commit_directory(tmp_path)
    hub.add(repository)
    request = WeightsRequest(name="many", source="hf://org/many@main", include=("0999.txt", "1000.txt"))
    assert [file.path for file in pull(request).files] == ["0999.txt", "1000.txt"]


def test_a_file_that_would_overwrite_the_manifest_is_refused(pull, hub: StandinHub, tmp_path: Path, store):
    (tmp_path / "manifest.json").write_bytes(b"{}")
    repository = Repository("org/clash")
    repository.commit_directory(tmp_path)
    hub.add(repository)
    with pytest.raises(SourceError, match=r"manifest\.json.*exclude"):
        pull(WeightsRequest(name="clash", source="hf://org/clash@main"))
    assert list(store.list("")) == []


def test_verify_finds_every_way_in_which_stored_files_can_be_wrong(pull, tiny, store, content, looks):
    manifest = pull(tiny)
    damaged = bytearray(content.files[content.small])
    damaged[1000] ^= 1
    store.put(manifest.prefix + content.small, bytes(damaged))
    store.put(manifest.prefix + content.text, b"longer than it was, by quite a bit")
    store.delete(manifest.prefix + content.large)
    found = {each.path: each.problem for each in verify(manifest, store, looks.append)}
    assert set(found) == {content.small, content.text, content.large}
    assert "sha256" in found[content.small]
    assert "34 bytes" in found[content.text]
    assert "missing" in found[content.large]

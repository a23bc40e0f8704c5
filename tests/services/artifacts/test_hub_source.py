"""`hf://`: revisions of every form, GGUF, digests, and files that come through Xet."""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from slipway.artifacts.errors import AccessError, SourceError
from slipway.artifacts.sources.hub import HubSource
from slipway.artifacts.transfer.parts import MIB
from slipway.artifacts.transfer.retry import TransientError
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.artifacts.weights.verification import verify
from slipway.stack.standin_hub import Fault, LocalXetStore, Repository, StandinHub

TOKEN = "hf_of-the-owner"


class TestRevisions:
    @pytest.mark.parametrize("revision", ["v1.0", "refs/pr/3", "team/branch"])
    def test_a_tag_a_branch_and_a_pull_request_are_resolved_to_their_commit(
        self, source, repository, tmp_path, revision
    ):
        (tmp_path / "config.json").write_bytes(b"[]")
        commit = repository.commit_directory(tmp_path, ref=revision)
        assert commit.id != repository.refs["main"]
        snapshot = source.resolve("hf://org/tiny", revision, None)
        assert snapshot.commit == commit.id
        assert [each.path for each in snapshot.files()] == ["config.json"]

    def test_a_shortened_commit_is_refused_with_the_whole_one(self, source, repository):
        commit = repository.refs["main"]
        with pytest.raises(SourceError, match=f"shortened commit. Write hf://org/tiny@{commit}"):
            source.resolve("hf://org/tiny", commit[:9], None)

    def test_a_revision_that_does_not_exist_is_named(self, source):
        with pytest.raises(SourceError, match="hf://org/tiny@refs/pr/9: no such revision"):
            source.resolve("hf://org/tiny", "refs/pr/9", None)


def test_one_gguf_file_of_several_is_taken(pull, hub, tmp_path):
    for name in ("tiny-Q4_1.gguf", "tiny-Q8_0.gguf"):
        (tmp_path / name).write_bytes(b"GGUF" + name.encode())
    repository = Repository("org/gguf")
    repository.commit_directory(tmp_path)
    hub.add(repository)
    manifest = pull(WeightsRequest(name="gguf", source="hf://org/gguf@main", include=("*Q4_1.gguf",)))
    (file,) = manifest.files
    assert file.path == "tiny-Q4_1.gguf"
    assert file.sha256 == hashlib.sha256(b"GGUF" + b"tiny-Q4_1.gguf").hexdigest()


@pytest.mark.parametrize("field", ["sha256", "blob_id"])
def test_a_digest_of_an_unknown_algorithm_is_named_with_its_file(
    pull, tiny, repository, content, store, field
):
    path = content.large if field == "sha256" else content.text
    commit = repository.commits[repository.refs["main"]]
    odd = replace(commit.files[path], **{field: "0" * 128})
    repository.commits[commit.id] = replace(commit, files={**commit.files, path: odd})
    with pytest.raises(SourceError, match=f"file {path}: .* unknown algorithm"):
        pull(tiny)
    assert list(store.list("")) == []
    repository.commits[commit.id] = commit
    assert pull(tiny).files


@pytest.mark.parametrize("path", ["../escape.bin", "/absolute.bin", "a\\b.bin"])
def test_a_path_that_could_leave_its_folder_is_refused(pull, tiny, repository, content, store, path):
    commit = repository.commits[repository.refs["main"]]
    files = {**commit.files, path: commit.files[content.text]}
    repository.commits[commit.id] = replace(commit, files=files)
    with pytest.raises(SourceError, match="exclude"):
        pull(tiny)
    assert list(store.list("")) == []
    repository.commits[commit.id] = commit
    assert pull(tiny).files


class TestXet:
    @pytest.fixture
    def cas(self, tmp_path) -> LocalXetStore:
        return LocalXetStore(tmp_path / "cas")

    @pytest.fixture
    def hub(self, repository: Repository, cas: LocalXetStore) -> Iterator[StandinHub]:
        with StandinHub([repository], xet=cas) as hub:
            yield hub

    @pytest.fixture
    def take(self, hub, store, settings, tiny) -> Callable[..., Manifest]:
        """Pull with these variables."""

        def pull(**variables: str) -> Manifest:
            source = HubSource(hub.url, variables, retry=settings.retry)
            return pull_weights(tiny, store, source, lambda look: None, settings)

        return pull

    def through_the_content_door(self, hub: StandinHub, content) -> int:
        """Bytes that came by plain HTTP, beyond the small files that git itself keeps."""
        return hub.body_bytes - len(content.files[content.text]) - len(content.files[content.empty])

    def test_large_files_come_through_xet_and_match_what_the_hub_lists(self, take, hub, content, store):
        manifest = take()
        assert {each.path: each.sha256 for each in manifest.files} == {
            path: hashlib.sha256(body).hexdigest() for path, body in content.files.items()
        }
        assert self.through_the_content_door(hub, content) == 0
        assert verify(manifest, store, lambda look: None) == []
        assert hub.requests.count(("GET", "xet-read-token")) == 1

    def test_the_switch_of_huggingface_hub_turns_it_off(self, take, hub, content):
        take(HF_HUB_DISABLE_XET="1")
        large = len(content.files[content.large]) + len(content.files[content.small])
        assert self.through_the_content_door(hub, content) == large
        assert ("GET", "xet-read-token") not in hub.requests

    def test_a_token_near_its_end_is_replaced_before_it_is_used(self, hub, source, cas, content):
        cas.token_life_s = 30  # less than the margin: every range asks again
        snapshot = source.resolve("hf://org/tiny", "main", None)
        (file,) = (each for each in snapshot.files() if each.path == content.large)
        counted: list[int] = []
        for offset in (0, 5_000_000):
            buffer = memoryview(bytearray(1_000_000))
            snapshot.read_into(file, offset, buffer, counted.append)
            assert bytes(buffer) == content.files[content.large][offset : offset + 1_000_000]
        assert sum(counted) == 2_000_000
        assert hub.requests.count(("GET", "xet-read-token")) == 2

    def test_a_range_of_any_length_is_read_whole(self, source, content):
        snapshot = source.resolve("hf://org/tiny", "main", None)
        (file,) = (each for each in snapshot.files() if each.path == content.large)
        buffer = memoryview(bytearray(file.size_bytes - 1))
        assert len(buffer) > 8 * MIB  # more than what is asked of hf_xet at a time
        snapshot.read_into(file, 1, buffer, lambda count: None)
        assert bytes(buffer) == content.files[content.large][1:]

    def test_a_token_answer_that_fails_for_a_moment_is_outlived(self, take, hub, content):
        hub.faults.switch_on(Fault("unavailable", "xet-token", times=1))
        take()
        assert self.through_the_content_door(hub, content) == 0

    @pytest.mark.parametrize("broken", ["store", "token"])
    def test_what_xet_cannot_give_is_read_without_it_and_the_log_says_so_once(
        self, take, hub, cas, content, store, tmp_path, caplog, broken
    ):
        if broken == "store":
            (commit,) = hub.repository("org/tiny").commits.values()
            assert all(cas.hash_of(file) for file in commit.files.values())
            shutil.rmtree(tmp_path / "cas")
        else:
            hub.faults.switch_on(Fault("vanished", "xet-token"))
        with caplog.at_level(logging.WARNING):
            manifest = take()
        assert verify(manifest, store, lambda look: None) == []
        said = [record.getMessage() for record in caplog.records if "Xet failed" in record.getMessage()]
        assert len(said) == 1
        assert "hf://org/tiny file" in said[0]
        assert "by plain HTTP" in said[0]
        assert self.through_the_content_door(hub, content) > 0

    def test_a_failed_range_takes_back_what_it_counted(self, hub, source, content, tmp_path):
        snapshot = source.resolve("hf://org/tiny", "main", None)
        (file,) = (each for each in snapshot.files() if each.path == content.large)
        buffer, counted = memoryview(bytearray(1000)), list[int]()
        snapshot.read_into(file, 0, buffer, counted.append)
        shutil.rmtree(tmp_path / "cas")
        with pytest.raises(TransientError, match=f"hf://org/tiny file {content.large}: Xet: "):
            snapshot.read_into(file, 8_000_000, buffer, counted.append)
        assert sum(counted) == 1000

    def test_a_gated_repository_gives_its_xet_token_to_its_own_token_alone(
        self, take, hub, repository, content
    ):
        repository.gated, repository.tokens = True, frozenset({TOKEN})
        with pytest.raises(AccessError, match="gated"):
            take()
        take(HF_TOKEN=TOKEN)
        assert self.through_the_content_door(hub, content) == 0

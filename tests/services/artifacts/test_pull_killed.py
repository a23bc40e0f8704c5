"""A pull that is killed at any moment: the next one completes, moves only what is missing, leaves nothing."""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

import pytest

from slipway.artifacts.transfer.parts import MIB
from slipway.artifacts.transfer.uploads import Uploads
from slipway.artifacts.weights.manifest import Manifest, prefix
from slipway.artifacts.weights.paths import MANIFEST_NAME
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.verification import verify
from slipway.stack.standin_hub import Fault, Repository, StandinHub

PULL = """
import sys
from slipway.artifacts.weights.pull import WeightsRequest, pull
from slipway.artifacts.sources.hub import HubSource
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore

name, source, hub, *location = sys.argv[1:]
store = ObjectStore(S3Location(*location))
print("begins", flush=True)
pull(WeightsRequest(name=name, source=source), store, HubSource(hub, {}), lambda look: None)
"""


@pytest.fixture
def start(store, hub) -> Iterator[Callable[[WeightsRequest], subprocess.Popen[bytes]]]:
    """Starts processes of their own that pull."""
    started: list[subprocess.Popen[bytes]] = []

    def start(request: WeightsRequest) -> subprocess.Popen[bytes]:
        location = [each for each in astuple(store.location) if each is not None]
        command = [sys.executable, "-c", PULL, request.name, request.source, hub.url, *location]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def pulling(start, hub, tiny) -> subprocess.Popen[bytes]:
    """A process that pulls `tiny` from a slow hub."""
    hub.faults.switch_on(Fault("latency", seconds=0.3))
    return start(tiny)


def kill_when(process: subprocess.Popen[bytes], seen: Callable[[], bool]) -> None:
    """kill -9 as soon as that was seen; it must be seen before the process ends."""
    deadline = time.monotonic() + 90
    while not seen():
        assert process.poll() is None, "the pull ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -9


@pytest.fixture
def part_bytes_stored(store) -> Callable[[], int]:
    """Bytes of all parts of uploads that are not over; what the store was tried with is no part."""

    def stored() -> int:
        uploads = Uploads(store)
        with_parts = [uploads.with_parts(each) for each in uploads.unfinished("weights/")]
        return sum(part.size_bytes for each in with_parts for part in each.parts)

    return stored


def test_killed_inside_a_file_fetches_only_the_parts_that_are_missing(
    pulling, hub, tiny, pull, store, content, uploads_left, part_bytes_stored
):
    kill_when(pulling, lambda: part_bytes_stored() > 0)
    key_prefix = prefix("tiny", tiny.source[-40:])
    assert uploads_left() == [key_prefix + content.large]
    assert Manifest.read(store, "tiny", tiny.source[-40:]) is None
    stored = part_bytes_stored() + sum(item.size_bytes for item in store.list(key_prefix))

    hub.faults.clear()
    before = hub.body_bytes
    manifest = pull(tiny)
    assert hub.body_bytes - before == content.size_bytes - stored
    assert verify(manifest, store, lambda look: None) == []
    assert uploads_left() == []


def test_killed_between_two_files_moves_only_the_second_again(
    pulling, store, hub, tiny, pull, content, uploads_left
):
    large = prefix("tiny", tiny.source[-40:]) + content.large
    hub.faults.switch_on(Fault("latency", path=content.small, seconds=5))
    kill_when(pulling, lambda: any(item.key == large for item in store.list(large)))

    hub.faults.clear()
    before = hub.body_bytes
    manifest = pull(tiny)
    assert hub.body_bytes - before == len(content.files[content.small])
    assert verify(manifest, store, lambda look: None) == []
    assert uploads_left() == []


def test_parts_that_were_damaged_before_the_kill_are_found_and_fetched_again(
    pulling, hub, tiny, pull, store, content, uploads_left, part_bytes_stored
):
    """Nothing can tell of a single part whether it is right: the whole file is read back before it counts."""
    hub.faults.switch_on(Fault("corrupted", path=content.large, after_bytes=1000))
    kill_when(pulling, lambda: part_bytes_stored() > 0)
    hub.faults.clear()
    manifest = pull(tiny)
    assert {file.path: file.sha256 for file in manifest.files} == {
        path: hashlib.sha256(body).hexdigest() for path, body in content.files.items()
    }
    assert verify(manifest, store, lambda look: None) == []
    assert uploads_left() == []


def test_killed_between_publishing_and_clearing_up_leaves_nothing_after_the_next_pull(
    store, tiny, pull, content, uploads_left
):
    manifest = pull(tiny)
    store.client.create_multipart_upload(Bucket=store.location.bucket, Key=manifest.prefix + content.large)
    other = store.client.create_multipart_upload(Bucket=store.location.bucket, Key="weights/other/x")
    assert len(uploads_left()) == 2
    assert pull(tiny) == manifest
    assert uploads_left() == [other["Key"]]


def test_what_an_interrupted_pull_stored_is_not_believed_unread(store, tiny, hub, pull, content):
    """Right size, wrong bytes, no manifest: read back, found wrong, transferred again."""
    key_prefix = prefix("tiny", tiny.source[-40:])
    store.put(key_prefix + content.small, bytes(len(content.files[content.small])))
    store.put(key_prefix + content.large, content.files[content.large])
    manifest = pull(tiny)
    assert verify(manifest, store, lambda look: None) == []
    assert {path for method, path in hub.requests if method == "GET" and path == content.large} == set()
    assert store.get(key_prefix + MANIFEST_NAME) == manifest.encode()


class TestManyKills:
    """`make test-kills` runs it with 60 kills of 1 GiB; SLIPWAY_KILLS_MIB_S=0 does not throttle the hub."""

    KILLS = int(os.environ.get("SLIPWAY_KILLS", "10"))
    SIZE = int(os.environ.get("SLIPWAY_KILLS_MIB", "100")) * MIB
    LIFE_S = 0.6  # on average, from the moment at which a process begins to pull
    # Slow enough that no life but the last brings the rest; a process may have several connections.
    BYTES_PER_S = float(os.environ.get("SLIPWAY_KILLS_MIB_S", SIZE / MIB / KILLS / LIFE_S)) * MIB

    @pytest.fixture
    def large(self, hub: StandinHub, tmp_path: Path, safetensors: Callable[[bytes], bytes]) -> Repository:
        shards = [0.4, 0.3, 0.2, 0.06]
        for number, share in enumerate(shards):
            (tmp_path / f"{number}.safetensors").write_bytes(safetensors(os.urandom(int(share * self.SIZE))))
        for number in range(20):
            (tmp_path / f"{number}.json").write_bytes(os.urandom(int(0.04 * self.SIZE / 20)))
        repository = Repository("org/large")
        repository.commit_directory(tmp_path)
        hub.add(repository)
        return repository

    @pytest.mark.timeout(1500)
    def test_leave_every_file_whole_one_manifest_no_upload_and_half_of_the_bytes_fetched_twice_at_most(
        self, large, hub, start, pull, store, uploads_left
    ):
        commit = large.refs["main"]
        request = WeightsRequest(name="large", source=f"hf://{large.id}@{commit}")
        if self.BYTES_PER_S:
            hub.faults.switch_on(Fault("throttled", bytes_per_s=self.BYTES_PER_S))
        chance = random.Random(20260303)
        killed = 0
        for _ in range(self.KILLS):
            process = start(request)
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0, 2 * self.LIFE_S))
            process.kill()
            killed += process.wait() == -9
        hub.faults.clear()
        manifest = pull(request)

        files = large.commits[commit].files
        assert {file.path: file.sha256 for file in manifest.files} == {
            path: file.sha256 for path, file in files.items()
        }
        assert verify(manifest, store, lambda look: None) == []
        assert [item.key for item in store.list("") if item.key.endswith(MANIFEST_NAME)] == [
            manifest.prefix + MANIFEST_NAME
        ]
        assert uploads_left() == []
        ratio = hub.body_bytes / manifest.size_bytes
        print(
            f"{killed} of {self.KILLS} processes killed while they pulled {manifest.size_bytes} bytes: "
            f"{hub.body_bytes} bytes fetched, {ratio:.3f} of the size"
        )
        assert ratio < 1.5
        assert killed == self.KILLS or not self.BYTES_PER_S

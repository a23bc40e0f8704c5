"""A pull that is killed at any moment: the next one completes, moves only what is missing, leaves nothing."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from slipway.artifacts import weights
from slipway.artifacts.manifest import Manifest, prefix
from slipway.artifacts.paths import MANIFEST_NAME
from slipway.stack.standin_hub import Fault

PULL = """
import sys
from slipway.artifacts import weights
from slipway.artifacts.hub import HubSource
from slipway.artifacts.parts import MIB, TransferLimits
from slipway.artifacts.transfer import TransferSettings
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore

source, hub, *location = sys.argv[1:]
request = weights.WeightsRequest(name="tiny", source=source)
limits = TransferLimits(part_bytes=5 * MIB, parts_in_flight=2)
store = ObjectStore(S3Location(*location))
weights.pull(request, store, HubSource(hub, {}), lambda look: None, TransferSettings(limits))
"""


@pytest.fixture
def pulling(store, tiny, hub) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that pulls `tiny` from a slow hub."""
    hub.faults.switch_on(Fault("latency", seconds=0.3))
    at = store.location
    process = subprocess.Popen(
        [sys.executable, "-c", PULL, tiny.source, hub.url, *vars(at).values()],
    )
    yield process
    process.kill()
    process.wait()


def kill_when(process: subprocess.Popen[bytes], seen: Callable[[], bool]) -> None:
    """kill -9 as soon as that was seen; it must be seen before the process ends."""
    deadline = time.monotonic() + 30
    while not seen():
        assert process.poll() is None, "the pull ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -9


def test_killed_while_a_file_is_uploaded(pulling, store, hub, tiny, pull, content, uploads_left):
    kill_when(pulling, lambda: bool(uploads_left()))
    key_prefix = prefix("tiny", tiny.source[-40:])
    assert uploads_left() == [key_prefix + content.large]
    assert Manifest.read(store, "tiny", tiny.source[-40:]) is None

    hub.faults.clear()
    manifest = pull(tiny)
    assert {file.path: file.sha256 for file in manifest.files} == {
        path: hashlib.sha256(body).hexdigest() for path, body in content.files.items()
    }
    assert weights.verify(manifest, store, lambda look: None) == []
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
    assert weights.verify(manifest, store, lambda look: None) == []
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
    assert weights.verify(manifest, store, lambda look: None) == []
    assert {path for method, path in hub.requests if method == "GET" and path == content.large} == set()
    assert store.get(key_prefix + MANIFEST_NAME) == manifest.encode()

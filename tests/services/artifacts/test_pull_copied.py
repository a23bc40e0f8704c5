"""Weights that lie in the same store already: the store copies them, and counts them once read back."""

import hashlib
import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.artifacts.errors import CorruptFileError, SourceError
from slipway.artifacts.source import Digest, Snapshot, SourceFile, StoredAt
from slipway.artifacts.sources.s3 import S3Source
from slipway.artifacts.transfer.parts import MIB, TransferLimits
from slipway.artifacts.transfer.watch import TransferSettings
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.artifacts.weights.verification import verify
from slipway.catalog.documents import SourceBucket
from slipway.catalog.fields import SecretRef
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.stack import seaweedfs
from slipway.stack.ports import free_ports

from ..conftest import remove_bucket


class CountedSnapshot:
    """A snapshot that counts what is read from it, and may be told to do something before a file's copy."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.commit, self.licence = snapshot.commit, snapshot.licence
        self.read_bytes = 0
        self.before_copy: Callable[[], None] = lambda: None
        self.digest: Digest | str | None = "as listed"

    def files(self) -> tuple[SourceFile, ...]:
        files = self._snapshot.files()
        if self.digest == "as listed":
            return files
        return tuple(replace(file, digest=self.digest) for file in files)

    def read_into(
        self, file: SourceFile, offset: int, buffer: memoryview, count: Callable[[int], None]
    ) -> None:
        self.read_bytes += len(buffer)
        self._snapshot.read_into(file, offset, buffer, count)

    def stored_at(self, file: SourceFile) -> StoredAt | None:
        self.before_copy()
        return self._snapshot.stored_at(file)


class OneSnapshot:
    """A source that always means this snapshot."""

    def __init__(self, snapshot: CountedSnapshot) -> None:
        self._snapshot = snapshot

    def resolve(self, location: str, revision: str | None, token: SecretRef | None) -> CountedSnapshot:
        return self._snapshot


@pytest.fixture
def bucket(seaweed: S3Location, content) -> Iterator[ObjectStore]:
    """Another bucket of the same store, with the content under `tiny/`."""
    found = ObjectStore(replace(seaweed, bucket=f"s-{uuid.uuid4().hex[:12]}"))
    found.ensure_bucket()
    for path, body in content.files.items():
        found.put(f"tiny/{path}", body)
    yield found
    remove_bucket(found)


def snapshot_of(bucket: ObjectStore) -> CountedSnapshot:
    source = S3Source(lambda: bucket.location, {}, {})
    return CountedSnapshot(source.resolve(f"s3://{bucket.location.bucket}/tiny", None, None))


def pull(snapshot: CountedSnapshot, store: ObjectStore, **limits: int) -> Manifest:
    request = WeightsRequest(name="tiny", source="s3://some-bucket/tiny")
    settings = TransferSettings(TransferLimits(**limits))
    return pull_weights(request, store, OneSnapshot(snapshot), lambda look: None, settings)


@pytest.mark.parametrize("copied_part_bytes", [5 * MIB, 128 * MIB], ids=["in-parts", "whole"])
def test_the_store_copies_what_it_has_and_the_copy_is_digested(
    store, bucket, content, uploads_left, copied_part_bytes
):
    snapshot = snapshot_of(bucket)
    manifest = pull(snapshot, store, copied_part_bytes=copied_part_bytes)
    assert snapshot.read_bytes == 0
    assert {file.path: file.sha256 for file in manifest.files} == {
        path: hashlib.sha256(body).hexdigest() for path, body in content.files.items()
    }
    assert verify(manifest, store, lambda look: None) == []
    assert uploads_left() == []


@pytest.mark.parametrize("copied_part_bytes", [5 * MIB, 128 * MIB], ids=["in-parts", "whole"])
def test_an_object_that_changed_since_it_was_listed_is_not_copied(store, bucket, content, copied_part_bytes):
    snapshot = snapshot_of(bucket)
    snapshot.before_copy = lambda: bucket.put(
        f"tiny/{content.large}", bytes(len(content.files[content.large]))
    )
    with pytest.raises(SourceError, match=rf"{content.large}.*changed between listing and"):
        pull(snapshot, store, copied_part_bytes=copied_part_bytes)
    assert Manifest.read(store, "tiny", snapshot.commit) is None
    again = snapshot_of(bucket)
    bucket.put(f"tiny/{content.large}", content.files[content.large])
    assert verify(pull(snapshot_of(bucket), store), store, lambda look: None) == []
    assert again.commit != snapshot.commit


def test_a_store_that_copies_whatever_is_there_is_asked_again_where_no_digest_tells(moto, content):
    """moto takes no notice of x-amz-copy-source-if-match."""
    theirs, ours = (ObjectStore(replace(moto, bucket=f"{name}-{uuid.uuid4().hex[:8]}")) for name in "st")
    for each in (theirs, ours):
        each.ensure_bucket()
    for path, body in content.files.items():
        theirs.put(f"tiny/{path}", body)
    snapshot = snapshot_of(theirs)
    snapshot.digest = None
    snapshot.before_copy = lambda: theirs.put(
        f"tiny/{content.text}", b"longer than listed"[: len(content.files[content.text])]
    )
    with pytest.raises(SourceError, match=rf"{content.text}.*changed between listing and copying"):
        pull(snapshot, ours)
    assert Manifest.read(ours, "tiny", snapshot.commit) is None


def test_an_object_that_is_gone_since_it_was_listed_is_named(store, bucket, content):
    snapshot = snapshot_of(bucket)
    snapshot.before_copy = lambda: bucket.delete(f"tiny/{content.small}")
    with pytest.raises(SourceError, match=rf"{content.small}.*is gone"):
        pull(snapshot, store)
    assert Manifest.read(store, "tiny", snapshot.commit) is None


def test_a_copy_that_is_not_what_was_listed_is_read_from_the_source_instead_and_refused_if_it_stays(
    store, bucket, content
):
    snapshot = snapshot_of(bucket)
    snapshot.digest = Digest("md5", "0" * 32)
    with pytest.raises(CorruptFileError, match=r"arrived with md5 .* but the source lists 0000"):
        pull(snapshot, store)
    assert snapshot.read_bytes > 0
    assert Manifest.read(store, "tiny", snapshot.commit) is None


@pytest.fixture
def guarded(tmp_path: Path, answers) -> Iterator[Callable[[str, str], ObjectStore]]:
    """A real SeaweedFS where `reader` may read all, and `writer` read and write bucket `ours` alone."""
    actions = {
        "admin": ["Admin", "Read", "Write", "List"],
        "reader": ["Read", "List"],
        "writer": ["Read:ours", "Write:ours", "List:ours"],
    }
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": name}], "actions": allowed}
        for name, allowed in actions.items()
    ]
    (tmp_path / "s3.json").write_text(json.dumps({"identities": identities}))
    for name in ("data", "log"):
        (tmp_path / name).mkdir()
    ports = seaweedfs.SeaweedPorts(*free_ports(10))
    command = seaweedfs.command(tmp_path / "data", tmp_path / "log", ports)
    with (tmp_path / "out.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"-s3.config={tmp_path / 's3.json'}"], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        answers(f"http://127.0.0.1:{ports.s3}/healthz", tmp_path / "out.log")
        url = f"http://127.0.0.1:{ports.s3}"
        at = lambda who, bucket: ObjectStore(S3Location(url, bucket, "us-east-1", who, who))  # noqa: E731
        at("admin", "ours").ensure_bucket()
        at("admin", "theirs").ensure_bucket()
        yield at
    finally:
        process.kill()
        process.wait()


def test_a_bucket_that_may_only_be_read_is_named_with_the_remedy_and_completes_when_it_may_be_written(
    guarded, tiny, source, settings
):
    with pytest.raises(ObjectStoreError, match=r"bucket ours: cannot .* identity read and write bucket ours"):
        pull_weights(tiny, guarded("reader", "ours"), source, lambda look: None, settings)
    store = guarded("writer", "ours")
    assert list(store.list("weights/")) == []
    manifest = pull_weights(tiny, store, source, lambda look: None, settings)
    assert verify(manifest, store, lambda look: None) == []


def test_a_store_that_does_not_let_us_copy_is_read_with_the_keys_of_the_source(guarded, content):
    theirs = guarded("admin", "theirs")
    for path, body in content.files.items():
        theirs.put(f"tiny/{path}", body)
    store = guarded("writer", "ours")
    described = SourceBucket(
        endpoint_url=store.location.endpoint_url,
        access_key=SecretRef(env="KEY"),
        secret_key=SecretRef(env="SECRET"),
    )
    source = S3Source(lambda: store.location, {"theirs": described}, {"KEY": "reader", "SECRET": "reader"})
    snapshot = CountedSnapshot(source.resolve("s3://theirs/tiny", None, None))
    manifest = pull(snapshot, store)
    assert snapshot.read_bytes == content.size_bytes
    assert verify(manifest, store, lambda look: None) == []

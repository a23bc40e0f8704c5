"""`s3://`: objects of a bucket are taken as they were listed, from Slipway's own store or another."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from slipway.artifacts.errors import AccessError, SourceError, SourceUnavailableError
from slipway.artifacts.source import Digest, commit_of
from slipway.artifacts.sources.s3 import S3Snapshot, S3Source
from slipway.artifacts.transfer.parts import MIB
from slipway.artifacts.weights.manifest import Manifest
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.artifacts.weights.verification import verify
from slipway.catalog.documents import SourceBucket
from slipway.catalog.fields import SecretRef
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.stack.ports import free_ports

CONFIG, MODEL = b'{"model_type": "tiny"}\n', bytes(range(256)) * 4 * 6 * 1024


@pytest.fixture
def bucket(seaweed: S3Location) -> Iterator[ObjectStore]:
    """Another bucket of Slipway's own store, with a model under `models/tiny`."""
    found = ObjectStore(replace(seaweed, bucket=f"s-{uuid.uuid4().hex[:12]}"))
    found.ensure_bucket()
    _fill(found)
    yield found
    found.client.delete_bucket(Bucket=found.location.bucket)


@pytest.fixture
def other_store(moto: S3Location) -> Iterator[ObjectStore]:
    """Another kind of S3 server at another address, with the same model."""
    found = ObjectStore(replace(moto, bucket="elsewhere"))
    found.ensure_bucket()
    _fill(found)
    yield found
    for item in found.list(""):
        found.delete(item.key)


def _fill(store: ObjectStore) -> None:
    store.put("models/tiny/config.json", CONFIG)
    store.put("models/tiny/sub/model.bin", MODEL)
    store.put("models/tiny/sub/", b"")  # as consoles keep a folder
    store.put("models/tiny-2/config.json", b"a sibling")


def described(store: ObjectStore) -> SourceBucket:
    return SourceBucket(
        endpoint_url=store.location.endpoint_url,
        access_key=SecretRef(env="OTHER_ACCESS_KEY"),
        secret_key=SecretRef(env="OTHER_SECRET_KEY"),
    )


@pytest.fixture
def source(seaweed: S3Location, other_store: ObjectStore) -> S3Source:
    keys = other_store.location
    variables = {"OTHER_ACCESS_KEY": keys.access_key, "OTHER_SECRET_KEY": keys.secret_key}
    return S3Source(lambda: seaweed, {"elsewhere": described(other_store)}, variables)


@pytest.fixture
def take(store, settings, source) -> Callable[[str], Manifest]:
    """Pull a location under the name `tiny`."""
    return lambda location: pull_weights(
        WeightsRequest(name="tiny", source=location), store, source, lambda look: None, settings
    )


def resolve(source: S3Source, location: str) -> S3Snapshot:
    return source.resolve(location, None, None)


def read(snapshot: S3Snapshot, path: str, offset: int = 0, length: int | None = None) -> bytes:
    file = next(each for each in snapshot.files() if each.path == path)
    buffer = memoryview(bytearray(file.size_bytes - offset if length is None else length))
    snapshot.read_into(file, offset, buffer, lambda count: None)
    return bytes(buffer)


def test_another_bucket_of_the_store_is_published(take, bucket, store):
    name = bucket.location.bucket
    manifest = take(f"s3://{name}/models/tiny")
    assert {each.path: each.sha256 for each in manifest.files} == {
        "config.json": hashlib.sha256(CONFIG).hexdigest(),
        "sub/model.bin": hashlib.sha256(MODEL).hexdigest(),
    }
    assert store.get(manifest.prefix + "sub/model.bin") == MODEL
    assert manifest.source == f"s3://{name}/models/tiny@{manifest.commit}"
    assert verify(manifest, store, lambda look: None) == []


def test_another_store_is_read_with_its_own_keys(take, store):
    manifest = take("s3://elsewhere/models/tiny/")
    assert [each.path for each in manifest.files] == ["config.json", "sub/model.bin"]
    assert store.get(manifest.prefix + "config.json") == CONFIG


def test_the_commit_is_made_of_what_was_listed(source, bucket):
    location = f"s3://{bucket.location.bucket}/models/tiny"
    snapshot = resolve(source, location)
    rows = [
        ("config.json", len(CONFIG), hashlib.md5(CONFIG).hexdigest()),
        ("sub/model.bin", len(MODEL), hashlib.md5(MODEL).hexdigest()),
    ]
    assert snapshot.commit == commit_of(rows)
    bucket.put("models/tiny/config.json", b"[]")
    assert resolve(source, location).commit != snapshot.commit


def test_one_object_is_a_source_too(source, bucket):
    snapshot = resolve(source, f"s3://{bucket.location.bucket}/models/tiny/config.json")
    assert [each.path for each in snapshot.files()] == ["config.json"]
    assert read(snapshot, "config.json") == CONFIG


def test_ranges_are_read_and_say_where_the_object_lies(source, bucket):
    snapshot = resolve(source, f"s3://{bucket.location.bucket}/models/tiny")
    assert read(snapshot, "sub/model.bin", 1000, 5000) == MODEL[1000:6000]
    file = next(each for each in snapshot.files() if each.path == "config.json")
    at = snapshot.stored_at(file)
    assert (at.endpoint_url, at.bucket, at.key) == (
        bucket.location.endpoint_url,
        bucket.location.bucket,
        "models/tiny/config.json",
    )
    assert at.etag.strip('"') == hashlib.md5(CONFIG).hexdigest()


def test_a_digest_is_taken_only_where_the_store_vouches_for_one(source, other_store, bucket):
    client, name = other_store.client, other_store.location.bucket
    client.put_object(Bucket=name, Key="d/sha256", Body=CONFIG, ChecksumAlgorithm="SHA256")
    client.put_object(Bucket=name, Key="d/kms", Body=CONFIG, ServerSideEncryption="aws:kms")
    client.put_object(Bucket=name, Key="d/plain", Body=CONFIG)
    upload = client.create_multipart_upload(Bucket=name, Key="d/parts")["UploadId"]
    part = client.upload_part(Bucket=name, Key="d/parts", UploadId=upload, PartNumber=1, Body=CONFIG)
    client.complete_multipart_upload(
        Bucket=name,
        Key="d/parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    found = {each.path: each.digest for each in resolve(source, f"s3://{name}/d").files()}
    assert found == {
        "sha256": Digest("sha256", hashlib.sha256(CONFIG).hexdigest()),
        "kms": None,
        "plain": Digest("md5", hashlib.md5(CONFIG).hexdigest()),
        "parts": None,
    }


def test_a_pinned_prefix_is_taken_only_as_it_was(take, bucket, store, source):
    location = f"s3://{bucket.location.bucket}/models/tiny"
    commit = resolve(source, location).commit
    bucket.put("models/tiny/config.json", b"[]")
    moved = resolve(source, location).commit
    with pytest.raises(SourceError) as refused:
        take(f"{location}@{commit}")
    assert f"{location}@{commit}: the source has moved on: it is {moved} now" in str(refused.value)
    assert list(store.list("")) == []
    bucket.put("models/tiny/config.json", CONFIG)
    assert take(f"{location}@{commit}").commit == commit


@pytest.mark.parametrize("where", ["own", "other"])
def test_an_object_that_changes_or_goes_after_it_was_listed_is_named(source, bucket, other_store, where):
    holder = bucket if where == "own" else other_store
    holder.put("vanishing/config.json", CONFIG)
    snapshot = resolve(source, f"s3://{holder.location.bucket}/vanishing")
    (file,) = snapshot.files()
    buffer = memoryview(bytearray(file.size_bytes))
    holder.put("vanishing/config.json", CONFIG.upper())
    with pytest.raises(SourceError, match=r"config\.json: changed between listing and reading"):
        snapshot.read_into(file, 0, buffer, lambda count: None)
    with pytest.raises(SourceError, match=r"config\.json: changed between listing and reading"):
        snapshot.files()
    holder.delete("vanishing/config.json")
    with pytest.raises(SourceError, match=r"config\.json: was listed, but is gone"):
        snapshot.read_into(file, 0, buffer, lambda count: None)


def test_a_bucket_or_prefix_that_does_not_exist_is_named(take, bucket, store):
    with pytest.raises(SourceError, match=r"s3://no-such-bucket/x: .* has no bucket no-such-bucket"):
        take("s3://no-such-bucket/x")
    location = f"s3://{bucket.location.bucket}/models/absent"
    with pytest.raises(SourceError, match=f"{location}: there is no object"):
        take(location)
    assert list(store.list("")) == []
    bucket.put("models/absent/config.json", CONFIG)
    assert take(location).files


@pytest.mark.parametrize(
    "key", ["models/evil/../escape.bin", "models/evil//absolute.bin", "models/evil/a\\b"]
)
def test_a_key_that_could_leave_its_folder_is_refused(take, other_store, store, key):
    other_store.client.put_object(Bucket="elsewhere", Key=key, Body=b"x")
    with pytest.raises(SourceError, match="exclude"):
        take("s3://elsewhere/models/evil")
    assert list(store.list("")) == []
    other_store.delete(key)


def test_wrong_keys_are_named_by_their_variables_and_never_shown(seaweed, bucket, store):
    variables = {"OTHER_ACCESS_KEY": seaweed.access_key, "OTHER_SECRET_KEY": "mistyped-secret"}
    name = bucket.location.bucket
    source = S3Source(lambda: seaweed, {name: described(bucket)}, variables)
    with pytest.raises(AccessError, match="Check OTHER_ACCESS_KEY and OTHER_SECRET_KEY") as refused:
        resolve(source, f"s3://{name}/models/tiny")
    assert "mistyped-secret" not in str(refused.value)


def test_a_key_that_is_not_set_is_named(seaweed, bucket):
    source = S3Source(lambda: seaweed, {"elsewhere": described(bucket)}, {"OTHER_ACCESS_KEY": "x"})
    with pytest.raises(AccessError, match="OTHER_SECRET_KEY, which is not set"):
        resolve(source, "s3://elsewhere/x")


def test_a_store_that_is_down_is_named(seaweed):
    gone = replace(seaweed, endpoint_url=f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(SourceUnavailableError, match=f"s3://some-bucket: {gone.endpoint_url} did not answer"):
        resolve(S3Source(lambda: gone, {}, {}), "s3://some-bucket")


def test_a_large_object_is_read_in_parts(take, bucket, store):
    body = MODEL + b"x" * (12 * MIB)
    bucket.put("big/model.bin", body)
    manifest = take(f"s3://{bucket.location.bucket}/big")
    assert manifest.files[0].sha256 == hashlib.sha256(body).hexdigest()

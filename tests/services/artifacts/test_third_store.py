"""The same promises on Ceph's gateway, which differs from both others where files have several parts."""

import uuid
from collections.abc import Iterator

import pytest

from slipway.artifacts.errors import ArtifactError
from slipway.artifacts.sources.s3 import S3Source
from slipway.artifacts.transfer.parts import MIB, TransferLimits
from slipway.artifacts.transfer.store_answers import UploadGoneError
from slipway.artifacts.transfer.uploads import Uploads
from slipway.artifacts.transfer.watch import TransferSettings
from slipway.artifacts.weights.pull import WeightsRequest
from slipway.artifacts.weights.pull import pull as pull_weights
from slipway.artifacts.weights.verification import verify
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore, ObjectStoreError
from testbed import stores

from ..conftest import remove_bucket
from ..test_objectstore import (
    test_listing_is_in_key_order_and_deleting_twice_is_harmless,
    test_of_many_writers_who_create_the_same_key_exactly_one_wins,
)
from .conftest import QUICK
from .test_collection import test_what_nobody_names_is_removed_with_everything_that_belonged_to_it
from .test_pull import (
    test_a_pull_publishes_every_byte_of_the_commit,
    test_of_two_pulls_at_a_time_one_publishes_and_both_return_it,
    test_verify_finds_every_way_in_which_stored_files_can_be_wrong,
)
from .test_pull_killed import (
    part_bytes_stored,
    pulling,
    start,
    test_killed_between_publishing_and_clearing_up_leaves_nothing_after_the_next_pull,
    test_killed_inside_a_file_fetches_only_the_parts_that_are_missing,
)

__all__ = [
    "part_bytes_stored",
    "pulling",
    "start",
    "test_a_pull_publishes_every_byte_of_the_commit",
    "test_killed_between_publishing_and_clearing_up_leaves_nothing_after_the_next_pull",
    "test_killed_inside_a_file_fetches_only_the_parts_that_are_missing",
    "test_listing_is_in_key_order_and_deleting_twice_is_harmless",
    "test_of_many_writers_who_create_the_same_key_exactly_one_wins",
    "test_of_two_pulls_at_a_time_one_publishes_and_both_return_it",
    "test_verify_finds_every_way_in_which_stored_files_can_be_wrong",
    "test_what_nobody_names_is_removed_with_everything_that_belonged_to_it",
]

PART = memoryview(bytes(5 * MIB))


@pytest.fixture
def store(rgw: S3Location) -> Iterator[ObjectStore]:
    """An empty bucket of its own on the running gateway, in the place of SeaweedFS's."""
    found = stores.with_bucket(rgw, f"t-{uuid.uuid4().hex[:12]}")
    yield found
    remove_bucket(found)


def test_what_the_store_checks_is_tried_on_an_upload_that_is_dropped(store, uploads_left):
    uploads = Uploads(store)
    upload_id = uploads.create("weights/a/x")
    etags = [uploads.put_part("weights/a/x", upload_id, number, PART).etag for number in (1, 2)]
    assert uploads_left() == ["weights/a/x"]
    assert uploads.complete("weights/a/x", upload_id, etags)
    assert uploads_left() == []


def test_an_upload_of_an_earlier_version_with_a_trial_part_in_it_is_left_and_removed(
    store, pull, tiny, content, uploads_left
):
    """It would never complete here: this store insists on every part that it keeps."""
    uploads, key = Uploads(store), f"weights/tiny/{tiny.source[-40:]}/{content.large}"
    upload_id = uploads.create(key)
    first = memoryview(content.files[content.large])[: 5 * MIB]
    uploads.put_part(key, upload_id, 1, first)
    store.client.upload_part(
        Bucket=store.location.bucket, Key=key, UploadId=upload_id, PartNumber=10_000, Body=b"what is sent"
    )
    assert verify(pull(tiny), store, lambda look: None) == []
    assert uploads_left() == []


def test_a_part_that_the_store_has_otherwise_than_we_know_is_no_refusal_of_the_store(store, uploads_left):
    uploads, key = Uploads(store), "weights/a/x"
    upload_id = uploads.create(key)
    etags = [uploads.put_part(key, upload_id, number, PART).etag for number in (1, 2)]
    with pytest.raises(UploadGoneError, match="part 2 is lost, or another"):
        uploads.complete(key, upload_id, [etags[0], f'"{"0" * 32}"'])
    assert uploads_left() == [key]
    with pytest.raises(UploadGoneError, match="part 2 is lost, or another"):
        uploads.complete(key, upload_id, etags[:1])
    assert uploads_left() == [], "with a part too many it would never complete"
    assert issubclass(UploadGoneError, ArtifactError)


def test_objects_in_parts_are_copied_within_the_store(store, content, safetensors):
    uploads, key = Uploads(store), "published/model.safetensors"
    body = memoryview(content.files[content.large])
    upload_id = uploads.create(key)
    parts = [body[: 5 * MIB], body[5 * MIB :]]
    etags = [uploads.put_part(key, upload_id, number, part).etag for number, part in enumerate(parts, 1)]
    uploads.complete(key, upload_id, etags)
    settings = TransferSettings(TransferLimits(copied_part_bytes=5 * MIB), QUICK)
    request = WeightsRequest(name="copied", source=f"s3://{store.location.bucket}/published")
    source = S3Source(lambda: store.location, {}, {})
    manifest = pull_weights(request, store, source, lambda look: None, settings)
    assert store.get(manifest.prefix + "model.safetensors") == body
    assert verify(manifest, store, lambda look: None) == []


def test_a_wrong_secret_is_named(store):
    intruder = ObjectStore(S3Location(**{**vars(store.location), "secret_key": "wrong"}))
    with pytest.raises(ObjectStoreError, match="SLIPWAY_S3_SECRET_KEY"):
        list(intruder.list(""))

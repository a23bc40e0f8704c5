"""A bucket that keeps versions: what is removed is gone with all of them, or it is said that they stay."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from slipway.artifacts.weights.collection import Collected, collect
from slipway.commands.weights import _summary
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from testbed import stores

from .keeping import FILES, catalog_of, commit, publish

OLD, KEPT = commit(1), commit(2)


@pytest.fixture(params=["seaweed", "rgw"])
def versioned(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    """A bucket that keeps versions, on each store that does."""
    location: S3Location = request.getfixturevalue(request.param)
    store = stores.with_bucket(location, f"versioned-{request.param}")
    bucket = store.location.bucket
    store.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    yield store
    for key, version_id in versions(store, ""):
        store.client.delete_object(Bucket=bucket, Key=key, VersionId=version_id)
    store.client.delete_bucket(Bucket=bucket)


def versions(store: ObjectStore, prefix: str) -> list[tuple[str, str]]:
    reply = store.client.list_object_versions(Bucket=store.location.bucket, Prefix=prefix)
    every = (*reply.get("Versions", []), *reply.get("DeleteMarkers", []))
    return [(item["Key"], item["VersionId"]) for item in every]


@pytest.fixture
def collected() -> Callable[[ObjectStore], Collected]:
    catalog = catalog_of(f"hf://org/kept@{KEPT}")
    return lambda store: collect(store, catalog, apply=True, log=lambda line: None)


def test_what_is_removed_is_gone_with_every_version_of_it(versioned, collected):
    gone, kept = publish(versioned, "old", OLD), publish(versioned, "kept", KEPT)
    versioned.put(gone.prefix + "config.json", b"{}  ")
    outcome = collected(versioned)
    assert [fate.stored.name for fate in outcome.removed] == ["old"]
    assert outcome.stays == ()
    assert versions(versioned, gone.prefix) == []
    assert {key for key, _ in versions(versioned, kept.prefix)} == {
        kept.prefix + path for path in (*FILES, "manifest.json")
    }


def test_versions_that_may_not_be_removed_are_said_to_stay(rgw, request, collected):
    """By the store's own policy, which lets nobody delete a version."""
    store = stores.with_bucket(rgw, "kept-for-ever")
    bucket = store.location.bucket
    store.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    deny = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": {"AWS": ["*"]},
                "Action": ["s3:DeleteObjectVersion"],
                "Resource": [f"arn:aws:s3:::{bucket}/*"],
            }
        ],
    }
    store.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(deny))
    gone = publish(store, "old", OLD)
    outcome = collected(store)
    size_bytes = sum(len(body) for body in FILES.values()) + len(gone.encode())
    (stay,) = outcome.stays
    # The files and their manifest, and a mark of deletion for each.
    assert (stay.count, stay.size_bytes) == (2 * (len(FILES) + 1), size_bytes)
    assert "8 older versions" in str(stay)
    assert "AccessDenied" in str(stay)
    assert "lifecycle rule" in str(stay)
    assert "Of what was removed, 8 older versions" in _summary(outcome)
    store.client.delete_bucket_policy(Bucket=bucket)
    again = replace(outcome, stays=())
    assert "older versions" not in _summary(again)

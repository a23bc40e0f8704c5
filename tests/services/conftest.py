"""Real servers for the services tier: each fixture starts one and stops it, whatever happened."""

import os
import uuid
from collections.abc import Iterator

import pytest

from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from testbed import postgres as postgres_server
from testbed import stores
from testbed.postgres import PostgresServer
from testbed.programs import MissingProgramError


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Location]:
    """A running SeaweedFS; the location names a bucket that does not exist.

    SLIPWAY_TEST_S3="http://host:port access-key secret-key" names a store of one's own to test instead.
    """
    if elsewhere := os.environ.get("SLIPWAY_TEST_S3"):
        endpoint_url, access_key, secret_key = elsewhere.split()
        yield S3Location(endpoint_url, "unset", "us-east-1", access_key, secret_key)
        return
    with stores.seaweed(tmp_path_factory.mktemp("seaweedfs")) as location:
        yield location


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Location]:
    """A running moto server, the second S3; the location names a bucket that does not exist."""
    with stores.moto(tmp_path_factory.mktemp("moto")) as location:
        yield location


@pytest.fixture(scope="session")
def rgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Location]:
    """A running Ceph gateway, the third S3; the location names a bucket that does not exist."""
    gateway = stores.rgw(tmp_path_factory.mktemp("ceph"))
    try:
        location = gateway.__enter__()
    except MissingProgramError as error:
        pytest.skip(f"{error} Ceph's gateway is tested where Debian's packages can be had.")
    yield location
    gateway.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL, which tests leave as it was but for databases of their own."""
    with postgres_server.server() as started:
        yield started


@pytest.fixture
def store(seaweed: S3Location) -> Iterator[ObjectStore]:
    """An empty bucket of its own on the running SeaweedFS, removed with all that the test left in it.

    Each bucket takes a volume, and there are only as many as the disk has free GiB.
    """
    store = stores.with_bucket(seaweed, f"t-{uuid.uuid4().hex[:12]}")
    yield store
    remove_bucket(store)


def remove_bucket(store: ObjectStore) -> None:
    """Remove the bucket with what is in it; SeaweedFS takes it whole, other stores want it empty."""
    try:
        store.client.delete_bucket(Bucket=store.location.bucket)
    except store.client.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "BucketNotEmpty"
        for item in list(store.list("")):
            store.delete(item.key)
        store.client.delete_bucket(Bucket=store.location.bucket)

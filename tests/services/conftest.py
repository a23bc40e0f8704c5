"""Real servers for the services tier: each fixture starts one and stops it, whatever happened."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.stack import seaweedfs
from slipway.stack.ports import free_ports


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Location]:
    """A running SeaweedFS; the location names a bucket that does not exist.

    SLIPWAY_TEST_S3="http://host:port access-key secret-key" names a store of one's own to test instead.
    """
    if elsewhere := os.environ.get("SLIPWAY_TEST_S3"):
        endpoint_url, access_key, secret_key = elsewhere.split()
        yield S3Location(endpoint_url, "unset", "us-east-1", access_key, secret_key)
        return
    root = tmp_path_factory.mktemp("seaweedfs")
    for name in ("data", "log"):
        (root / name).mkdir()
    ports = seaweedfs.SeaweedPorts(*free_ports(10))
    with (root / "out.log").open("wb") as log:
        process = subprocess.Popen(
            seaweedfs.command(root / "data", root / "log", ports),
            env=seaweedfs.environment("test-key", "test-secret"),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_http(f"http://127.0.0.1:{ports.s3}/healthz", root / "out.log")
        yield S3Location(f"http://127.0.0.1:{ports.s3}", "unset", "us-east-1", "test-key", "test-secret")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Location]:
    """A running moto server, the second S3; the location names a bucket that does not exist."""
    log, port = tmp_path_factory.mktemp("moto") / "out.log", free_ports(1)[0]
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for_http(f"http://127.0.0.1:{port}/moto-api/", log)
        yield S3Location(f"http://127.0.0.1:{port}", "unset", "us-east-1", "test-key", "test-secret")
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def store(seaweed: S3Location) -> Iterator[ObjectStore]:
    """An empty bucket of its own on the running SeaweedFS, removed with all that the test left in it.

    Each bucket takes a volume, and there are only as many as the disk has free GiB.
    """
    store = ObjectStore(replace(seaweed, bucket=f"t-{uuid.uuid4().hex[:12]}"))
    store.ensure_bucket()
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


def wait_for_http(url: str, log: Path, timeout_s: float = 60) -> None:
    """Return when the URL answers below 500; fail with the server's log when it does not."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail(f"{url} did not answer in {timeout_s} s:\n{log.read_text()[-4000:]}")

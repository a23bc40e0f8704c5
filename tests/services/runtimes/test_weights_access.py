"""What renderers put into an engine's environment is all that a reader needs to find the weights."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from slipway.artifacts.weights.manifest import Manifest, ManifestFile
from slipway.objectstore import ObjectStore
from slipway.runtimes.cluster.store_secret import store_secret
from slipway.runtimes.rendering.cluster_settings import StoreAddress
from slipway.runtimes.rendering.weights_access import (
    WeightsAccess,
    node_cache_access,
    weights_access,
)

CONTENT = b"weights" * 100_000

LIST_AND_READ = """
import boto3, hashlib, json, sys
bucket, _, prefix = sys.argv[1].removeprefix("s3://").partition("/")
client = boto3.client("s3")
keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket, Prefix=prefix + "/")["Contents"]]
bodies = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
print(json.dumps({key: hashlib.sha256(body).hexdigest() for key, body in bodies.items()}))
"""


def published(store: ObjectStore) -> Manifest:
    digest = hashlib.sha256(CONTENT).hexdigest()
    manifest = Manifest(
        name="m",
        source="file:///m",
        commit="1" * 40,
        created_at=datetime.now(UTC),
        files=(ManifestFile(path="deep/model.safetensors", size_bytes=len(CONTENT), sha256=digest),),
    )
    store.put(f"{manifest.prefix}deep/model.safetensors", CONTENT)
    manifest.publish(store)
    return manifest


def process(access: WeightsAccess, store: ObjectStore, *command: str) -> str:
    """Run with this environment and no other, its secrets filled in as the kubelet would."""
    secret = {
        "AWS_ACCESS_KEY_ID": store.location.access_key,
        "AWS_SECRET_ACCESS_KEY": store.location.secret_key,
    }
    given = {name: secret[each.key] for name, each in access.secret_env.items()}
    env: Mapping[str, str] = {**access.env, **given, "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return done.stdout


def address_of(store: ObjectStore) -> StoreAddress:
    return StoreAddress(store.location.endpoint_url, store.location.bucket, store.location.region)


def test_an_aws_client_that_knows_this_environment_alone_lists_and_reads_a_model(store: ObjectStore) -> None:
    manifest = published(store)
    access = weights_access(address_of(store), manifest.prefix)
    assert access.uri == f"s3://{store.location.bucket}/{manifest.prefix.rstrip('/')}"
    found = json.loads(process(access, store, "-c", LIST_AND_READ, access.uri))
    assert found[f"{manifest.prefix}deep/model.safetensors"] == manifest.files[0].sha256


def test_the_init_container_leaves_verified_adapters_where_engines_are_told(
    store: ObjectStore, tmp_path: Path
) -> None:
    manifest = published(store)
    access = node_cache_access(address_of(store), str(tmp_path / "adapters"), None)
    said = process(access, store, "-m", "slipway.engines.fetch", manifest.prefix)
    assert manifest.prefix in said
    placed = tmp_path / "adapters" / "m" / ("1" * 40) / "files" / "deep" / "model.safetensors"
    assert placed.read_bytes() == CONTENT


def test_secrets_are_in_the_secret_alone(store: ObjectStore) -> None:
    address = address_of(store)
    access = weights_access(address, "weights/m/1/")
    assert store.location.secret_key not in str(access)
    secret = store_secret(address, "tenant-a", store.location.access_key, store.location.secret_key)
    keys = {each.key for each in access.secret_env.values()}
    assert secret["stringData"].keys() == keys  # type: ignore[attr-defined]

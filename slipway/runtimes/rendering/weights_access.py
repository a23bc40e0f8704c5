"""How an engine reads published weights from the local S3: one function for every runtime.

Belongs here: the address of a prefix, and the environment that makes readers find and understand the store.
Does not: where the store is (cluster_settings.py), publishing (slipway.artifacts).
Variables: AWS SDKs' own, and docs of run-ai/runai-model-streamer (env-vars.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.runtimes.rendering.cluster_settings import StoreAddress

ACCESS_KEY = "AWS_ACCESS_KEY_ID"
SECRET_KEY = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 (a variable's name)


@dataclass(frozen=True)
class SecretKey:
    """One key of a Kubernetes Secret."""

    secret: str
    key: str


@dataclass(frozen=True)
class WeightsAccess:
    """Where a prefix is, and what a process needs in its environment to read it."""

    uri: str
    env: Mapping[str, str]
    secret_env: Mapping[str, SecretKey]


def weights_access(store: StoreAddress, prefix: str) -> WeightsAccess:
    """Access to `weights/<name>/<commit>/` for boto3, the AWS SDKs and the Run:ai streamer."""
    return WeightsAccess(
        uri=f"s3://{store.bucket}/{prefix.rstrip('/')}",
        env={
            "AWS_ENDPOINT_URL": store.endpoint_url,
            "AWS_REGION": store.region,
            "AWS_DEFAULT_REGION": store.region,
            # Or the SDK asks a cloud's metadata service first, and waits for it.
            "AWS_EC2_METADATA_DISABLED": "true",
            # Stores other than AWS differ in trailing checksums; the manifest has sha256 of every file.
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
            # Buckets are in the path: the store has one name, not one per bucket.
            "RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING": "0",
            "RUNAI_STREAMER_CONCURRENCY": "4",
            "RUNAI_STREAMER_CHUNK_BYTESIZE": str(8 * 2**20),
        },
        secret_env={
            ACCESS_KEY: SecretKey(store.secret, ACCESS_KEY),
            SECRET_KEY: SecretKey(store.secret, SECRET_KEY),
        },
    )


def node_cache_access(store: StoreAddress, directory: str, bound_bytes: int | None) -> WeightsAccess:
    """The same for Slipway's own readers, which keep verified copies below `directory`."""
    bound = {} if bound_bytes is None else {"SLIPWAY_NODE_CACHE_BYTES": str(bound_bytes)}
    return WeightsAccess(
        uri=f"s3://{store.bucket}/weights",
        env={
            "SLIPWAY_S3_ENDPOINT": store.endpoint_url,
            "SLIPWAY_S3_BUCKET": store.bucket,
            "SLIPWAY_S3_REGION": store.region,
            "SLIPWAY_NODE_CACHE": directory,
            **bound,
        },
        secret_env={
            "SLIPWAY_S3_ACCESS_KEY": SecretKey(store.secret, ACCESS_KEY),
            "SLIPWAY_S3_SECRET_KEY": SecretKey(store.secret, SECRET_KEY),
        },
    )

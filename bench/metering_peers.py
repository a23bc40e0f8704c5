"""The same hour by other means: `python -m bench.metering_peers JOB`, whose `side` is pandas, polars or scan.

Belongs here: reading the same usage objects and aggregating them, as a person with that library would; and
DuckDB reading the needed columns of the compacted object and nothing more.
Does not: the rollup (rollup_once.py), targets (metering.py).

Both libraries are used as their pages show it, and given less to do than a rollup: no check of a line, no
price, no histogram, copies of an id dropped as they come, and nothing is kept.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from slipway.environment import S3Location
from slipway.records.usage import hour_prefix

QUANTILES = (0.5, 0.9, 0.95, 0.99)
KEYS = ["org", "user", "api_key", "deployment", "model"]
COUNTS = ["input_tokens", "cached_tokens", "output_tokens"]
# What a rollup reads of a compacted object.
NEEDED = (
    "hour", "arrived_at", "request_id", "org", "user", "api_key", "deployment", "model", "status", "stream",
    "cold_start", "counted_by", "input_tokens", "cached_tokens", "output_tokens", "ttft_us", "duration_us",
    "input_audio_ms", "output_audio_ms", "characters", "documents", "searches", "task", "queue_us", "hold_us",
    "cold_detect_us", "cold_schedule_us", "cold_pull_us", "cold_load_us", "cold_init_us",
    "cold_first_token_us", "reason",
)  # fmt: skip


def by_pandas(job: Mapping[str, Any]) -> int:
    """Read each object with pandas.read_json, and group; returns the requests it found."""
    import pandas as pd

    frames = [pd.read_json(io.BytesIO(body), lines=True, compression="gzip") for body in _bodies(job)]
    events = pd.concat(frames, ignore_index=True).drop_duplicates("request_id")
    streams = events[events["stream"]]
    itl = (streams["duration_us"] - streams["ttft_us"]) / (streams["output_tokens"] - 1)
    for values in (streams["ttft_us"], itl[streams["status"] == "success"], events["duration_us"]):
        values.groupby(events["deployment"]).quantile(list(QUANTILES))
    events.groupby("deployment")[COUNTS].sum()
    events.groupby(KEYS)[COUNTS].sum()
    return len(events)


def by_polars(job: Mapping[str, Any]) -> int:
    """Let polars.scan_ndjson read them from the store, and group; returns the requests it found."""
    import polars as pl

    texts = dict.fromkeys(("request_id", *KEYS, "status"), pl.String)
    numbers = dict.fromkeys((*COUNTS, "ttft_us", "duration_us"), pl.Int64)
    at = S3Location(**job["store"])
    events = (
        pl.scan_ndjson(
            f"s3://{at.bucket}/{hour_prefix(datetime.fromisoformat(job['hour']))}*.ndjson.gz",
            schema={**texts, **numbers, "stream": pl.Boolean},
            storage_options={
                "aws_endpoint_url": at.endpoint_url, "aws_access_key_id": at.access_key,
                "aws_secret_access_key": at.secret_key, "aws_region": at.region, "aws_allow_http": "true",
            },
        )
        .collect()
        .unique("request_id")
    )  # fmt: skip
    streams = events.filter(pl.col("stream")).with_columns(
        itl=(pl.col("duration_us") - pl.col("ttft_us")) / (pl.col("output_tokens") - 1)
    )
    streams.group_by("deployment").agg(
        *[pl.col("ttft_us").quantile(q, "linear").alias(f"ttft_{q}") for q in QUANTILES],
        *[pl.col("itl").filter(pl.col("status") == "success").quantile(q, "linear").alias(f"itl_{q}")
          for q in QUANTILES],
    )  # fmt: skip
    events.group_by("deployment").agg(
        *[pl.col("duration_us").quantile(q, "linear").alias(f"duration_{q}") for q in QUANTILES],
        pl.col(COUNTS).sum(),
    )
    events.group_by(KEYS).agg(pl.col(COUNTS).sum())
    return len(events)


def by_scanning(job: Mapping[str, Any]) -> int:
    """Let DuckDB read the columns that a rollup needs of a Parquet file, as strictly as it can be made to.

    A checksum looks at every value, which max() need not: Parquet says the largest of a row group.
    """
    import duckdb

    from slipway.metering.warehouse import bound

    connection = duckdb.connect()
    bound(connection, 2 * 2**30)
    seen = ", ".join(f'bit_xor(hash("{name}"))' for name in NEEDED)
    statement = f"SELECT count(*), {seen} FROM read_parquet($path)"
    ((found, *_),) = connection.execute(statement, {"path": job["path"]}).fetchall()
    return int(found)


def _bodies(job: Mapping[str, Any]) -> Iterator[bytes]:
    """The hour's objects, as boto3 fetches them."""
    import boto3

    at = S3Location(**job["store"])
    client = boto3.client(
        "s3", endpoint_url=at.endpoint_url, region_name=at.region,
        aws_access_key_id=at.access_key, aws_secret_access_key=at.secret_key,
    )  # fmt: skip
    prefix = hour_prefix(datetime.fromisoformat(job["hour"]))
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=at.bucket, Prefix=prefix):
        for listed in page["Contents"]:
            yield client.get_object(Bucket=at.bucket, Key=listed["Key"])["Body"].read()


SIDES: Mapping[str, Callable[[Mapping[str, Any]], int]] = {
    "pandas": by_pandas, "polars": by_polars, "scan": by_scanning,
}  # fmt: skip

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    found = SIDES[asked["side"]](asked)
    if found != asked["expected"]:
        sys.exit(f"{asked['side']}: {found} rows were found, and {asked['expected']} were made")

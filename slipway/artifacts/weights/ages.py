"""Objects and uploads with their age, by the store's own clock: no two machines have to agree on the time.

Belongs here: listing with instants, and what the time is for the store.
Does not: judging ages (claims.py, retention.py).
"""

from __future__ import annotations

import email.utils
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.artifacts.transfer.uploads import Uploads
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.store_trouble import contents, field


@dataclass(frozen=True)
class Aged:
    """A stored object, or an upload that is not complete (of no size yet), and its last writing."""

    key: str
    size_bytes: int
    written_at: datetime


def now(store: ObjectStore) -> datetime:
    """The store's time, from the Date header of an answer (RFC 9110): it is what dates its objects."""
    with store.explained("ask for the time"):
        # Not HEAD: without a body, a store cannot say that the bucket is missing.
        reply = store.client.list_objects_v2(Bucket=store.location.bucket, MaxKeys=1)
    header = reply["ResponseMetadata"]["HTTPHeaders"].get("date")
    if header is None:
        raise ObjectStoreError(
            f"S3 {store.location.endpoint_url}: its answers have no Date header, so the age of what it holds "
            "is not known. Let the proxy before it pass this header on.",
            retriable=False,
        )
    try:
        return email.utils.parsedate_to_datetime(header).astimezone(UTC)
    except ValueError as error:
        raise ObjectStoreError(
            f"S3 {store.location.endpoint_url}: its answer's Date is {header!r}, which is no time, so the "
            "age of what it holds is not known. Let the proxy before it pass this header on.",
            retriable=False,
        ) from error


def objects(store: ObjectStore, prefix: str) -> Iterator[Aged]:
    """Every object under the prefix, in key order."""
    with store.explained(f"list {prefix}"):
        pages = store.client.get_paginator("list_objects_v2").paginate(
            Bucket=store.location.bucket, Prefix=prefix
        )
        for page in pages:
            for item in contents(page):
                yield Aged(field(item, "Key"), field(item, "Size"), _whole(field(item, "LastModified")))


def uploads(store: ObjectStore, prefix: str) -> Iterator[Aged]:
    """Every multipart upload under the prefix that is neither complete nor aborted."""
    for upload in Uploads(store).unfinished(prefix):
        yield Aged(upload.key, 0, _whole(upload.initiated))


def _whole(instant: datetime) -> datetime:
    """In whole seconds, as `now` is: else what was written in this second would be of the future."""
    return instant.astimezone(UTC).replace(microsecond=0)

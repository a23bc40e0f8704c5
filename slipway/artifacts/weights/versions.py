"""Older versions of objects, in a bucket that keeps them: a removed object frees nothing while they stay.

Belongs here: whether a bucket keeps them, removing those under a prefix, and what stays.
Does not: which prefix (collection.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from slipway.artifacts.transfer import workers
from slipway.objectstore import ObjectStore, ObjectStoreError
from slipway.store_trouble import code_of, field

_DELETERS = 8
_UNKNOWN_CALL = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})


@dataclass(frozen=True)
class Stay:
    """Versions that could not be removed, their size, and why; `count` None: not even listed."""

    count: int | None
    size_bytes: int
    cause: str

    def __str__(self) -> str:
        what = (
            "whether older versions stay is not known"
            if self.count is None
            else f"{self.count} older versions ({self.size_bytes / 1e6:.1f} MB) stay"
        )
        return (
            f"{what}: {self.cause} Let this identity list and delete versions, or give the bucket a "
            "lifecycle rule that expires noncurrent ones."
        )


@dataclass(frozen=True)
class _Version:
    key: str
    version_id: str
    size_bytes: int


def remove(store: ObjectStore, prefix: str) -> Stay | None:
    """Remove every version under a prefix whose objects were removed; returns what stays, if anything.

    Only what is listed now: who brings objects there later keeps them.
    """
    try:
        if not _are_kept(store):
            return None
        there = list(_under(store, prefix))
    except ObjectStoreError as error:
        if error.unreachable:
            raise
        return Stay(None, 0, str(error))
    left: list[tuple[_Version, str]] = []

    def delete(version: _Version) -> None:
        try:
            with store.explained(f"delete version {version.version_id} of {version.key}"):
                store.client.delete_object(
                    Bucket=store.location.bucket, Key=version.key, VersionId=version.version_id
                )
        except ObjectStoreError as error:
            if error.unreachable:
                raise
            left.append((version, str(error)))

    workers.each(there, delete, workers=_DELETERS, tick=_to_nobody)
    if not left:
        return None
    return Stay(len(left), sum(version.size_bytes for version, _ in left), left[0][1])


def _to_nobody() -> None:
    """Report to nobody."""


def _are_kept(store: ObjectStore) -> bool:
    """Whether the bucket keeps versions, or once did."""
    try:
        with store.explained("ask whether versions are kept"):
            reply = store.client.get_bucket_versioning(Bucket=store.location.bucket)
    except ObjectStoreError as error:
        if isinstance(error.__cause__, Exception) and code_of(error.__cause__) in _UNKNOWN_CALL:
            return False
        raise
    return reply.get("Status") in {"Enabled", "Suspended"}


def _under(store: ObjectStore, prefix: str) -> Iterator[_Version]:
    with store.explained(f"list versions under {prefix}"):
        pages = store.client.get_paginator("list_object_versions").paginate(
            Bucket=store.location.bucket, Prefix=prefix
        )
        for page in pages:
            for item in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                size_bytes: Any = item.get("Size") or 0
                yield _Version(field(item, "Key"), field(item, "VersionId"), size_bytes)

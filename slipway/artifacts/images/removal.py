"""Removing mirrored images in an order that a crash or a mirroring at the same time cannot turn into a loss.

A copy of the record is put under `image-removals/`; then the record goes, then the manifests, then the copy.
So a record never names a missing image, and what was interrupted is gone on with. Mirroring writes its record
first and looks for such copies afterwards: of two that meet, the removal sees the record or the mirroring the
copy.

Belongs here: that order, from both sides. Does not: deciding what goes (retention.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from slipway.artifacts.images.client import RegistryClient
from slipway.artifacts.images.record import ImageRecord, ImageRecords
from slipway.artifacts.images.references import referrers_tag

_POLL_S = 0.5
# Longer than one removal takes; the copy of one that was killed is taken over after that.
_LONGEST_WAIT_S = 60.0


def remove(record: ImageRecord, records: ImageRecords, target: RegistryClient) -> bool:
    """Remove a record and its image; False when it was mirrored again meanwhile, and stays.

    Raises ArtifactError or ObjectStoreError; then `finish` goes on with it another time.
    """
    records.store.put(record.removal_key, record.encode(), content_type="application/json")
    current = records.read(record.key)
    if current is not None and current != record:
        records.store.delete(record.removal_key)
        return False
    records.store.delete(record.key)
    _remove_image(record, records, target)
    return True


def finish(records: ImageRecords, target: RegistryClient) -> list[ImageRecord]:
    """Go on with removals that were interrupted; returns those that are now complete."""
    done = []
    for record in records.removals():
        if record.registry != target.access.host:
            continue
        if records.read(record.key) is None:
            _remove_image(record, records, target)
            done.append(record)
        else:  # nothing was removed yet, or it was mirrored anew
            records.store.delete(record.removal_key)
    return done


def wait_for_removals(records: ImageRecords, record: ImageRecord) -> bool:
    """Wait until nothing that the record names is being removed; True when something was.

    Call it after the record was written; on True, mirror again.
    """
    deadline = time.monotonic() + _LONGEST_WAIT_S
    waited = False
    while clashing := _clashing(records, record):
        waited = True
        if time.monotonic() > deadline:
            for removed in clashing:
                records.store.delete(removed.removal_key)
            break
        time.sleep(_POLL_S)
    return waited


def _clashing(records: ImageRecords, record: ImageRecord) -> list[ImageRecord]:
    mine = set(record.manifests)
    return [
        removed for removed in records.removals() if removed.at == record.at and mine & set(removed.manifests)
    ]


def _remove_image(record: ImageRecord, records: ImageRecords, target: RegistryClient) -> None:
    for digest in _removable(record, records.all(), target):
        if records.read(record.removal_key) is None:
            return  # a mirroring took over
        target.delete_manifest(record.at, digest)
    records.store.delete(record.removal_key)


def _removable(record: ImageRecord, others: Iterable[ImageRecord], target: RegistryClient) -> list[str]:
    """Digests of this image that no other record names, parents before what they list."""
    shared = {digest for other in others if other.at == record.at for digest in other.manifests}
    mine = [digest for digest in reversed(record.manifests) if digest not in shared]
    lists = {referrers_tag(digest) for digest in mine} & set(record.tags)
    of_lists = [target.resolve(record.at, tag) for tag in sorted(lists)]
    return [*(digest for digest in of_lists if digest is not None and digest not in shared), *mine]

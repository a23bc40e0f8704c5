"""Which unfinished upload a run goes on with, and which of its parts count.

Belongs here: the pure choice, and which uploads are too old for it. Does not: asking the store or aborting
(uploads.py), what is then fetched (transfer.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from slipway.artifacts.transfer.parts import Cut


@dataclass(frozen=True)
class StoredPart:
    """A part that the store has of an unfinished upload."""

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True)
class Unfinished:
    """An upload that was begun, neither completed nor aborted. `initiated` by the store's clock."""

    key: str
    upload_id: str
    initiated: datetime
    parts: tuple[StoredPart, ...] = ()


@dataclass(frozen=True)
class Adopted:
    """The upload to go on with, and the entity tags of the parts that need not be sent again."""

    upload_id: str
    etags: dict[int, str]


def choose(unfinished: Iterable[Unfinished], cut: Cut) -> Adopted | None:
    """The upload that holds most of the file, of several the newest; None when none was cut this way."""
    fitting = [upload for upload in unfinished if _fits(upload, cut)]
    if not fitting:
        return None
    best = max(fitting, key=lambda upload: (len(_usable(upload)), upload.initiated, upload.upload_id))
    return Adopted(best.upload_id, _usable(best))


def older_than(unfinished: Iterable[Unfinished], instant: datetime) -> list[Unfinished]:
    """Those that were begun before the instant."""
    return [upload for upload in unfinished if upload.initiated < instant]


def _fits(upload: Unfinished, cut: Cut) -> bool:
    """Whether all its parts are of a file that was cut this way: a store may insist on completing every part
    that it keeps (Ceph), so one part more spoils the upload.
    """
    return all(
        1 <= part.number <= cut.count and part.size_bytes == cut.length(part.number) for part in upload.parts
    )


def _usable(upload: Unfinished) -> dict[int, str]:
    """Entity tags by number. Some stores list a part once for each time that it was sent: when the tags
    differ, one of them was damaged, and none is believed.
    """
    etags: dict[int, set[str]] = {}
    for part in upload.parts:
        etags.setdefault(part.number, set()).add(part.etag)
    return {number: next(iter(tags)) for number, tags in etags.items() if len(tags) == 1}

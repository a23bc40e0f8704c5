"""Which mirrored images may be removed: a decision over values, with its reasons.

Belongs here: what keeps an image: the catalog, revisions that are kept, its age.
Does not: reading or removing anything (collection.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.artifacts.images.record import ImageRecord


@dataclass(frozen=True)
class Use:
    """Somebody who names an image: by digest (of an index or a platform), or by a tag at an instant."""

    by: str
    at: datetime
    digest: str | None = None
    source: str | None = None
    tag: str | None = None


@dataclass(frozen=True)
class Verdict:
    """One record, whether it may go, and why."""

    record: ImageRecord
    remove: bool
    reason: str


def decide(
    records: Sequence[ImageRecord], uses: Sequence[Use], now: datetime, grace: timedelta
) -> list[Verdict]:
    """A verdict for each record.

    Kept: what was mirrored within the grace time; what a use names by digest; and what a used tag may have
    been when it was used. A tag's digest counts as left behind only when another one of the same tag appeared
    after it was last seen, more than the grace time before the use.
    """
    return [_judge(record, records, uses, now, grace) for record in records]


def _judge(
    record: ImageRecord, records: Sequence[ImageRecord], uses: Iterable[Use], now: datetime, grace: timedelta
) -> Verdict:
    user = next((use for use in uses if _named(record, use) or _meant(record, records, use, grace)), None)
    if user is not None:
        return Verdict(record, False, f"named by {user.by}")
    if now - record.resolved_at < grace:
        return Verdict(record, False, f"mirrored within {grace.total_seconds():.0f} s")
    return Verdict(record, True, "no catalog entry and no kept revision names it")


def _named(record: ImageRecord, use: Use) -> bool:
    return use.digest is not None and use.digest in {record.digest, *record.manifests}


def _meant(record: ImageRecord, records: Iterable[ImageRecord], use: Use, grace: timedelta) -> bool:
    def had_it(each: ImageRecord) -> bool:
        return each.source == use.source and use.tag in each.source_tags

    return had_it(record) and not any(
        had_it(other)
        and other.digest != record.digest
        and record.resolved_at < other.created_at <= use.at - grace
        for other in records
    )

"""Which mirrored images are kept, which wait, which go, and why: a decision over values.

Belongs here: what keeps an image: who names it, and its time of grace.
Does not: reading who names it (uses.py), removing anything (collection.py, removal.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from slipway.artifacts.garbage import Fate, after_grace, kept
from slipway.artifacts.images.record import ImageRecord
from slipway.artifacts.images.uses import Use


def decide(
    records: Sequence[ImageRecord], uses: Sequence[Use], now: datetime, grace: timedelta
) -> tuple[Fate[ImageRecord], ...]:
    """A fate for each record.

    Kept: what a use names by digest, and what a used tag may have been when it was used. A tag's digest
    counts as left behind only when another one of the same tag appeared after it was last seen, more than the
    time of grace before the use. What nobody names goes when it was mirrored last a time of grace ago.
    """
    return tuple(_fate(record, records, uses, now, grace) for record in records)


def _fate(
    record: ImageRecord, records: Sequence[ImageRecord], uses: Iterable[Use], now: datetime, grace: timedelta
) -> Fate[ImageRecord]:
    named_by = [use.by for use in uses if _named(record, use) or _meant(record, records, use, grace)]
    if named_by:
        return kept(record, named_by)
    return after_grace(record, "nobody names it, nor was it mirrored", record.resolved_at, grace, now)


def _named(record: ImageRecord, use: Use) -> bool:
    return use.digest is not None and use.digest in {record.digest, *record.manifests}


def _meant(record: ImageRecord, records: Iterable[ImageRecord], use: Use, grace: timedelta) -> bool:
    def had_it(mirrored: ImageRecord) -> bool:
        return mirrored.source == use.source and use.tag in mirrored.source_tags

    return had_it(record) and not any(
        had_it(other)
        and other.digest != record.digest
        and record.resolved_at < other.created_at <= use.at - grace
        for other in records
    )

"""Garbage collection of mirrored images: carries out what retention.py decides.

Belongs here: the order of steps. Does not: the decision (retention.py), removing one (removal.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from slipway.artifacts.garbage import Fate, Outcome, with_action
from slipway.artifacts.images import removal, retention, uses
from slipway.artifacts.images.record import ImageRecord, ImageRecords
from slipway.artifacts.images.registries import Registries
from slipway.catalog.catalog import Catalog
from slipway.objectstore import ObjectStore


@dataclass(frozen=True)
class Collected(Outcome[ImageRecord]):
    """What a collection of the local registry found and did, and records of other registries."""

    elsewhere: tuple[ImageRecord, ...] = ()


def collect(
    catalog: Catalog,
    store: ObjectStore,
    registries: Registries,
    *,
    apply: bool,
    now: datetime | None = None,
) -> Collected:
    """Decide on every mirrored image; with `apply`, remove what nobody has named for long enough.

    The time of grace is the catalog's `Settings.weights_grace_s`. Manifests and tags are removed; the
    registry's own garbage collection then frees the space of their blobs. Raises UnknownUsesError when what
    is needed cannot be known, and then removes nothing more; ArtifactError or ObjectStoreError, and then the
    next run goes on.
    """
    records, target = ImageRecords(store), registries.target
    now = now or datetime.now(UTC)
    finished = [_finished(record) for record in removal.finish(records, target)] if apply else []
    known = records.all()
    here = [record for record in known if record.registry == target.access.host]
    grace = timedelta(seconds=catalog.settings.weights_grace_s)
    fates = retention.decide(here, uses.read(catalog, store, now), now, grace)
    chosen = with_action(fates, "remove")
    removed = [fate for fate in chosen if not apply or removal.remove(fate.stored, records, target)]
    return Collected(
        applied=apply,
        removed=(*finished, *removed),
        waiting=with_action(fates, "wait"),
        kept=with_action(fates, "keep"),
        unfinished=tuple(fate.stored for fate in chosen if fate not in removed),
        elsewhere=tuple(record for record in known if record.registry != target.access.host),
    )


def _finished(record: ImageRecord) -> Fate[ImageRecord]:
    return Fate(record, "remove", "an earlier collection, which was interrupted, had begun with it")

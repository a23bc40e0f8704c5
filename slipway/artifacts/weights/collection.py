"""Garbage collection of weights: carries out what retention.py decides, while rollouts and pulls start.

Belongs here: the order of steps, so that a collector killed at any point loses nothing that is needed.
Does not: the decision (retention.py), the protocol with those who need weights (claims.py).

Order for each removal: mark, read uses and leases again, remove the manifest (from then on the weights
do not exist), the files, their older versions, and the mark. Killed before the manifest, it changed nothing
but the mark; killed after, it left a prefix without manifest, which a pull completes and the next collection
removes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from slipway.artifacts.garbage import Fate, Outcome, with_action
from slipway.artifacts.transfer import workers
from slipway.artifacts.transfer.uploads import Uploads
from slipway.artifacts.weights import claims, inventory, retention, uses, versions
from slipway.artifacts.weights.claims import Mark, Terms
from slipway.artifacts.weights.inventory import Inventory, Stored
from slipway.artifacts.weights.paths import MANIFEST_NAME
from slipway.artifacts.weights.versions import Stay
from slipway.catalog import Catalog
from slipway.objectstore import ObjectStore

# Uses are read again once for so many removals; a mark lasts long enough for them.
_BATCH = 20
_DELETERS = 8

Log = Callable[[str], None]


@dataclass(frozen=True)
class Collected(Outcome[Stored]):
    """What a collection of the store found and did, and how many uploads it aborted.

    `stays`: older versions of what was removed, where the bucket keeps them and they could not be removed.
    """

    aborted_uploads: int = 0
    stays: tuple[Stay, ...] = ()

    @property
    def removed_bytes(self) -> int:
        """Size of what was removed, or would be."""
        return sum(fate.stored.size_bytes for fate in self.removed)

    @property
    def kept_bytes(self) -> int:
        """Size of everything that stays, for now or for good."""
        return sum(fate.stored.size_bytes for fate in (*self.kept, *self.waiting))


def collect(
    store: ObjectStore, catalog: Catalog, *, apply: bool, log: Log, terms: Terms | None = None
) -> Collected:
    """Decide on everything under `weights/`; with `apply`, remove what nobody has named for long enough.

    The time of grace is the catalog's `Settings.weights_grace_s`. Harmless to repeat, to kill and to run
    twice at a time. Raises UnknownUsesError when what is needed cannot be known, and then removes
    nothing; CorruptFileError or ObjectStoreError.
    """
    grace = timedelta(seconds=catalog.settings.weights_grace_s)
    there = inventory.read(store)
    fates = retention.decide(there, uses.read(catalog, store), grace)
    chosen = with_action(fates, "remove")
    waiting, kept = with_action(fates, "wait"), with_action(fates, "keep")
    if not apply:
        return Collected(False, chosen, waiting, kept)
    run = _Run(store, catalog, grace, terms or Terms(), log)
    run.tidy(there, fates)
    aborted = run.abort_uploads(there)
    batches = (chosen[start:][:_BATCH] for start in range(0, len(chosen), _BATCH))
    removed = tuple(fate for batch in batches for fate in run.remove(batch))
    unfinished = tuple(fate.stored for fate in chosen if fate not in removed)
    return Collected(True, removed, waiting, kept, unfinished, aborted, tuple(run.stays.values()))


@dataclass(frozen=True)
class _Run:
    """One collection that removes."""

    store: ObjectStore
    catalog: Catalog
    grace: timedelta
    terms: Terms
    log: Log
    stays: dict[str, Stay] = field(default_factory=dict)

    def tidy(self, there: Inventory, fates: Sequence[Fate[Stored]]) -> None:
        """Note what nobody names from now on, and remove notes, leases and marks that have had their time."""
        for fate in fates:
            stored = fate.stored
            if fate.action == "keep" and stored.unused_since is not None:
                self.store.delete(inventory.note_key(stored))
            elif fate.action == "wait" and stored.published_at and stored.unused_since is None:
                self.store.create(inventory.note_key(stored), b'{"schema": 1}')
        for key in retention.dead_leases(there):
            self.store.delete(key)
        claims.remove_dead_marks(self.store, there.now, self.terms)

    def abort_uploads(self, there: Inventory) -> int:
        """Abort uploads that were interrupted a time of grace ago; returns how many."""
        uploads = Uploads(self.store)
        return sum(
            uploads.abort_older_than(stored.prefix, there.now - self.grace)
            for stored in retention.dead_uploads(there, self.grace)
        )

    def remove(self, chosen: Sequence[Fate[Stored]]) -> list[Fate[Stored]]:
        """Remove these, but not what somebody names or claims by now; returns what is gone.

        When the store fails in the midst of it, the marks stay until they are dead: a call that we gave up
        may still be carried out.
        """
        prefixes = [fate.stored.prefix for fate in chosen]
        marks = {prefix: claims.condemn(self.store, prefix) for prefix in prefixes}
        try:
            there = inventory.read(self.store)  # after the marks: whoever comes later sees them
            again = retention.decide(there, uses.read(self.catalog, self.store), self.grace)
        except Exception:
            claims.pardon(self.store, marks.values())
            raise
        now = {fate.stored.prefix: fate.action for fate in again}
        gone = [
            fate
            for fate in chosen
            # Not there any more: another collector's, or an upload that was all there was.
            if (at := fate.stored.prefix) not in now
            or (now[at] == "remove" and self._remove_one(fate, marks[at], there))
        ]
        claims.pardon(self.store, marks.values())
        return gone

    def _remove_one(self, fate: Fate[Stored], mark: Mark, there: Inventory) -> bool:
        """Manifest, files, uploads, notes; False when the mark lapsed and the rest is the next run's."""
        stored = fate.stored
        if mark.has_lapsed(self.terms):
            return False
        self.store.delete(stored.prefix + MANIFEST_NAME)
        keys = [item.key for item in self.store.list(stored.prefix)]

        def delete(key: str) -> None:
            if not mark.has_lapsed(self.terms):
                self.store.delete(key)

        workers.each(keys, delete, workers=_DELETERS, tick=_nothing)
        if mark.has_lapsed(self.terms):
            return False
        Uploads(self.store).abort_under(stored.prefix)
        stay = versions.remove(self.store, stored.prefix)
        if stay is not None:
            self.stays[stored.prefix] = stay
        for lease in (lease for lease in there.leases if lease.prefix == stored.prefix):
            self.store.delete(lease.key)
        self.store.delete(inventory.note_key(stored))
        said = f"; {stay}" if stay is not None else ""
        self.log(f"removed {stored.prefix} ({stored.size_bytes / 1e6:.1f} MB): {fate.reason}{said}")
        return True


def _nothing() -> None:
    """Report to nobody."""

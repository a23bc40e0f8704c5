"""Garbage collection of weights: carries out what garbage.py decides, while rollouts and pulls start.

Belongs here: the order of steps, so that a collector killed at any point loses nothing that is needed.
Does not: the decision (garbage.py), the protocol with those who need weights (claims.py).

Order for each removal: mark, read references and leases again, remove the manifest (from then on the weights
do not exist), the files, and the mark. Killed before the manifest, it changed nothing but the mark; killed
after, it left a prefix without manifest, which a pull completes and the next collection removes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from slipway.artifacts.transfer import workers
from slipway.artifacts.transfer.uploads import Uploads
from slipway.artifacts.weights import claims, inventory
from slipway.artifacts.weights import retention as garbage
from slipway.artifacts.weights import uses as references
from slipway.artifacts.weights.claims import Mark, Terms
from slipway.artifacts.weights.inventory import Inventory, Stored
from slipway.artifacts.weights.paths import MANIFEST_NAME
from slipway.artifacts.weights.retention import Verdict
from slipway.catalog import Catalog
from slipway.objectstore import ObjectStore

# References are read again once for so many removals; a mark lasts long enough for them.
_BATCH = 20
_DELETERS = 8

Log = Callable[[str], None]


@dataclass(frozen=True)
class Collected:
    """What a collection found and did. Without `applied` it did nothing, and `removed` is what would go.

    `unfinished` were left for the next run, as time was up or somebody came to need them.
    """

    applied: bool
    removed: tuple[Verdict, ...]
    waiting: tuple[Verdict, ...]
    kept: tuple[Verdict, ...]
    unfinished: tuple[Stored, ...] = ()
    aborted_uploads: int = 0

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """On everything that was found, but what `unfinished` names."""
        return (*self.removed, *self.waiting, *self.kept)

    @property
    def removed_bytes(self) -> int:
        """Size of what was removed, or would be."""
        return sum(each.stored.size_bytes for each in self.removed)

    @property
    def kept_bytes(self) -> int:
        """Size of everything that stays, for now or for good."""
        return sum(each.stored.size_bytes for each in (*self.kept, *self.waiting))


def collect(
    store: ObjectStore, catalog: Catalog, *, apply: bool, log: Log, terms: Terms | None = None
) -> Collected:
    """Decide on everything under `weights/`; with `apply`, remove what nobody has named for long enough.

    The time of grace is the catalog's `Settings.weights_grace_s`. Harmless to repeat, to kill and to run
    twice at a time. Raises UnknownReferencesError when what is needed cannot be known, and then removes
    nothing; CorruptFileError or ObjectStoreError.
    """
    grace = timedelta(seconds=catalog.settings.weights_grace_s)
    found = inventory.read(store)
    verdicts = garbage.decide(found, references.read(catalog, store), grace)
    chosen = _by_action(verdicts, "remove")
    waiting, kept = _by_action(verdicts, "wait"), _by_action(verdicts, "keep")
    if not apply:
        return Collected(False, chosen, waiting, kept)
    run = _Run(store, catalog, grace, terms or Terms(), log)
    run.tidy(found, verdicts)
    aborted = run.abort_uploads(found)
    removed = [
        each for start in range(0, len(chosen), _BATCH) for each in run.remove(chosen[start:][:_BATCH])
    ]
    unfinished = tuple(each.stored for each in chosen if each not in removed)
    return Collected(True, tuple(removed), waiting, kept, unfinished, aborted)


def _by_action(verdicts: Iterable[Verdict], action: garbage.Action) -> tuple[Verdict, ...]:
    return tuple(each for each in verdicts if each.action == action)


@dataclass(frozen=True)
class _Run:
    """One collection that removes."""

    store: ObjectStore
    catalog: Catalog
    grace: timedelta
    terms: Terms
    log: Log

    def tidy(self, found: Inventory, verdicts: Sequence[Verdict]) -> None:
        """Note what nobody names from now on, and remove notes, leases and marks that have had their time."""
        for verdict in verdicts:
            stored = verdict.stored
            if verdict.action == "keep" and stored.unreferenced_since is not None:
                self.store.delete(inventory.note_key(stored))
            elif verdict.action == "wait" and stored.published_at and stored.unreferenced_since is None:
                self.store.create(inventory.note_key(stored), b'{"schema": 1}')
        for key in garbage.dead_leases(found):
            self.store.delete(key)
        claims.remove_dead_marks(self.store, found.now, self.terms)

    def abort_uploads(self, found: Inventory) -> int:
        """Abort uploads that were interrupted a time of grace ago; returns how many."""
        uploads = Uploads(self.store)
        return sum(
            uploads.abort_older_than(each.prefix, found.now - self.grace)
            for each in garbage.dead_uploads(found, self.grace)
        )

    def remove(self, chosen: Sequence[Verdict]) -> list[Verdict]:
        """Remove these, but not what somebody names or claims by now; returns what is gone.

        When the store fails in the midst of it, the marks stay until they are dead: a call that we gave up
        may still be carried out.
        """
        marks = {each.stored.prefix: claims.condemn(self.store, each.stored.prefix) for each in chosen}
        try:
            found = inventory.read(self.store)  # after the marks: whoever comes later sees them
            again = garbage.decide(found, references.read(self.catalog, self.store), self.grace)
        except Exception:
            claims.pardon(self.store, marks.values())
            raise
        now = {each.stored.prefix: each.action for each in again}
        gone = [
            each
            for each in chosen
            # Not there any more: another collector's, or an upload that was all there was.
            if (at := each.stored.prefix) not in now
            or (now[at] == "remove" and self._remove_one(each, marks[at], found))
        ]
        claims.pardon(self.store, marks.values())
        return gone

    def _remove_one(self, verdict: Verdict, mark: Mark, found: Inventory) -> bool:
        """Manifest, files, uploads, notes; False when the mark lapsed and the rest is the next run's."""
        stored = verdict.stored
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
        for lease in (each for each in found.leases if each.prefix == stored.prefix):
            self.store.delete(lease.key)
        self.store.delete(inventory.note_key(stored))
        self.log(f"removed {stored.prefix} ({stored.size_bytes / 1e6:.1f} MB): {verdict.reason}")
        return True


def _nothing() -> None:
    """Report to nobody."""

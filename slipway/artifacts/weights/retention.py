"""Which weights are kept, which wait, which go, and why: a decision over values.

Belongs here: what keeps weights: who names them, leases, their time of grace.
Does not: reading them (inventory.py, uses.py), removing anything (collection.py).
"""

from __future__ import annotations

from datetime import timedelta

from slipway.artifacts.garbage import Fate, after_grace, kept
from slipway.artifacts.weights.inventory import Inventory, Stored
from slipway.artifacts.weights.uses import Uses


def decide(inventory: Inventory, uses: Uses, grace: timedelta) -> tuple[Fate[Stored], ...]:
    """A fate for every commit in the store.

    Kept: what the catalog or a revision names, what has a live lease, and of a name whose source moves what
    was asked for last. Published weights that nobody names go when a collector saw so a time of grace ago
    (at once without grace); what was never published goes when nothing of it was written for that long.
    """
    newest = {
        stored.name: stored
        for stored in sorted(inventory.stored, key=lambda stored: stored.last_asked_for_at)
        if stored.published_at is not None and stored.name in uses.moving
    }
    return tuple(
        _fate(stored, _named_by(stored, inventory, uses, newest.get(stored.name)), inventory, grace)
        for stored in inventory.stored
    )


def dead_leases(inventory: Inventory) -> tuple[str, ...]:
    """Keys of leases that have ended. Of stored weights the last stays: it tells when they were asked for."""
    newest = {stored.leases[0].key for stored in inventory.stored if stored.leases}
    ended = (lease for lease in inventory.leases if not lease.is_alive(inventory.now))
    return tuple(lease.key for lease in ended if lease.key not in newest)


def dead_uploads(inventory: Inventory, grace: timedelta) -> tuple[Stored, ...]:
    """Commits with uploads that nobody is at and that began a time of grace ago: they are only space."""
    return tuple(
        stored
        for stored in inventory.stored
        if stored.oldest_upload_at is not None
        and inventory.now - stored.oldest_upload_at >= grace
        and not any(lease.is_alive(inventory.now) for lease in stored.leases)
    )


def _named_by(stored: Stored, inventory: Inventory, uses: Uses, newest: Stored | None) -> tuple[str, ...]:
    """Who names these weights, or says that it needs them now; for people."""
    tracked = (f"the catalog, which tracks {stored.name}: this was pulled last",) if stored is newest else ()
    alive = (lease.holder for lease in stored.leases if lease.is_alive(inventory.now))
    return (*uses.of(stored.name, stored.commit), *tracked, *alive)


def _fate(stored: Stored, named_by: tuple[str, ...], inventory: Inventory, grace: timedelta) -> Fate[Stored]:
    now = inventory.now
    if named_by:
        return kept(stored, named_by)
    if stored.published_at is None:
        reason = "never published, and nothing is at it"
        return after_grace(stored, reason, stored.touched_at, grace, now)
    if stored.unused_since is None and grace > timedelta(0):
        return Fate(stored, "wait", "nobody names it, which is new", now + grace)
    since = max(stored.unused_since or stored.published_at, stored.last_asked_for_at)
    return after_grace(stored, "nobody names it", since, grace, now)

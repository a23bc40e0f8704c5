"""Garbage collection's decision: of everything stored, what is kept, what waits, what goes, and why.

Belongs here: the decision, as a function of values.
Does not: reading them (inventory.py, references.py), removing anything (collection.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from slipway.artifacts.weights.inventory import Inventory, Stored
from slipway.artifacts.weights.uses import References

Action = Literal["keep", "wait", "remove"]


@dataclass(frozen=True)
class Verdict:
    """What becomes of the weights of one commit; `due_at` is when waiting ends."""

    stored: Stored
    action: Action
    reason: str
    due_at: datetime | None = None
    named_by: tuple[str, ...] = ()


def decide(inventory: Inventory, references: References, grace: timedelta) -> tuple[Verdict, ...]:
    """A verdict for every commit in the store.

    Kept: what the catalog or a revision names, what has a live lease, and of a name whose source moves what
    was asked for last. Published weights that nobody names go when a collector saw so a time of grace ago
    (at once without grace); what was never published goes when nothing of it was written for that long.
    """
    newest = {
        each.name: each
        for each in sorted(inventory.stored, key=lambda each: each.last_asked_for_at)
        if each.published_at is not None and each.name in references.moving
    }
    return tuple(
        _verdict(each, _named_by(each, inventory, references, newest.get(each.name)), inventory.now, grace)
        for each in inventory.stored
    )


def dead_leases(inventory: Inventory) -> tuple[str, ...]:
    """Keys of leases that have ended. Of stored weights the last stays: it tells when they were asked for."""
    newest = {each.leases[0].key for each in inventory.stored if each.leases}
    ended = (each for each in inventory.leases if not each.is_alive(inventory.now))
    return tuple(each.key for each in ended if each.key not in newest)


def dead_uploads(inventory: Inventory, grace: timedelta) -> tuple[Stored, ...]:
    """Commits with uploads that nobody is at and that began a time of grace ago: they are only space."""
    return tuple(
        each
        for each in inventory.stored
        if each.oldest_upload_at is not None
        and inventory.now - each.oldest_upload_at >= grace
        and not any(lease.is_alive(inventory.now) for lease in each.leases)
    )


def _named_by(
    stored: Stored, inventory: Inventory, references: References, newest: Stored | None
) -> tuple[str, ...]:
    """Who names these weights, or says that it needs them now; for people."""
    tracked = (f"the catalog, which tracks {stored.name}: this was pulled last",) if stored is newest else ()
    alive = (each.holder for each in stored.leases if each.is_alive(inventory.now))
    return (*references.of(stored.name, stored.commit), *tracked, *dict.fromkeys(alive))


def _verdict(stored: Stored, named_by: tuple[str, ...], now: datetime, grace: timedelta) -> Verdict:
    if named_by:
        return Verdict(stored, "keep", f"needed by {', '.join(named_by)}", named_by=named_by)
    if stored.published_at is None:
        reason, since = "never published, and nothing is at it", stored.touched_at
    elif stored.unreferenced_since is None and grace > timedelta(0):
        return Verdict(stored, "wait", "nobody names it, which is new", now + grace)
    else:
        reason = "nobody names it"
        since = max(stored.unreferenced_since or stored.published_at, stored.last_asked_for_at)
    due_at = since + grace
    return Verdict(stored, "remove" if now >= due_at else "wait", f"{reason} since {since:%F %T} UTC", due_at)

"""What the garbage collections of weights and of images have in common: the words that both speak.

Who needs a thing uses it (a module `uses`); what becomes of it is its fate, which a module `retention`
decides as a function of values; a module `collection` carries it out.

Belongs here: fates, what a collection found and did, and reading what recorded revisions use.
Does not: whose fate is which (weights/retention.py, images/retention.py), removing anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Literal, TypeVar

from slipway.artifacts.errors import ArtifactError
from slipway.objectstore import ObjectStore
from slipway.records.revisions import Revision, RevisionStore, UnreadableRevisionError

T = TypeVar("T")

Action = Literal["keep", "wait", "remove"]


class UnknownUsesError(ArtifactError):
    """What is needed cannot be known, so nothing may be removed."""


@dataclass(frozen=True)
class Fate(Generic[T]):
    """What becomes of one stored thing, and why; `due_at` is when waiting ends, `named_by` who needs it."""

    stored: T
    action: Action
    reason: str
    due_at: datetime | None = None
    named_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a collection found and did. Without `applied` it did nothing, and `removed` is what would go.

    `unfinished` were left for the next run, as time was up or somebody came to need them.
    """

    applied: bool
    removed: tuple[Fate[T], ...]
    waiting: tuple[Fate[T], ...]
    kept: tuple[Fate[T], ...]
    unfinished: tuple[T, ...] = ()

    @property
    def fates(self) -> tuple[Fate[T], ...]:
        """Of everything that was found, but what `unfinished` names."""
        return (*self.removed, *self.waiting, *self.kept)


def kept(stored: T, named_by: Iterable[str]) -> Fate[T]:
    """The fate of what somebody needs; who that is, for people."""
    names = tuple(dict.fromkeys(named_by))
    return Fate(stored, "keep", f"needed by {', '.join(names)}", named_by=names)


def after_grace(stored: T, reason: str, since: datetime, grace: timedelta, now: datetime) -> Fate[T]:
    """The fate of what nobody needs: it goes when its time of grace, which began at `since`, is over."""
    due_at = since + grace
    return Fate(stored, "remove" if now >= due_at else "wait", f"{reason} since {since:%F %T} UTC", due_at)


def with_action(fates: Iterable[Fate[T]], action: Action) -> tuple[Fate[T], ...]:
    """Those of the fates that are that one."""
    return tuple(fate for fate in fates if fate.action == action)


def used_by_revisions(
    store: ObjectStore, used: Callable[[Revision], Iterable[T]]
) -> Iterator[tuple[Revision, tuple[T, ...]]]:
    """Every recorded revision with what it uses. Any record counts: a rollback may come to each of them.

    Raises UnknownUsesError at a record that cannot be read, or whose uses cannot.
    """
    try:
        for key, revision in RevisionStore(store).everything():
            try:
                uses = tuple(used(revision))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UnreadableRevisionError(key, store.location.bucket, error) from error
            yield revision, uses
    except UnreadableRevisionError as error:
        raise UnknownUsesError(
            f"{error} Then run this again: what it needs is not known, so nothing is removed."
        ) from error

"""Leases and marks: how those who need weights and the collector that removes them never both go ahead.

Belongs here: writing, reading and waiting for both.
Does not: what is needed (uses.py), what is removed and when (retention.py, collection.py).

Who needs weights writes a lease first and looks for marks then; the collector writes a mark first and looks
for leases and other uses then. In a store that answers with the last write, one of both sees the
other: docs/adr/0020. Each lease and mark is an object of its own, so removing one never removes another's.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from slipway.artifacts.errors import ArtifactError, CorruptFileError
from slipway.artifacts.weights import ages
from slipway.artifacts.weights.ages import Aged
from slipway.artifacts.weights.manifest import prefix
from slipway.objectstore import ObjectStore, ObjectStoreError

LEASES = "leases/"
MARKS = "condemned/"

# How long a lease lasts without being renewed, unless its holder says otherwise.
HOLD_S = 3600.0


class CollectionInProgressError(ArtifactError):
    """A garbage collector is at these weights for longer than it may be."""

    retriable = True


class ClaimLostError(ArtifactError):
    """Our lease ended while we still worked under it."""

    retriable = True


@dataclass(frozen=True)
class Terms:
    """How long a collector may act after it began to write a mark, and when the mark is a dead one's.

    The difference covers one call that began in time: botocore tries four times, each up to 65 s.
    """

    act_s: float = 60.0
    mark_s: float = 480.0
    poll_s: float = 0.2


@dataclass(frozen=True)
class Lease:
    """Somebody needs the weights under `prefix`, for `hold_s` seconds after the last writing."""

    key: str
    prefix: str
    holder: str
    hold_s: float
    written_at: datetime

    def is_alive(self, now: datetime) -> bool:
        """Whether it counts as a use."""
        return now - self.written_at < timedelta(seconds=self.hold_s)


class Moment:
    """Now, on two clocks: the steady one stops while a machine sleeps, the other can be set."""

    def __init__(self) -> None:
        self._monotonic_s, self._at = time.monotonic(), datetime.now(UTC)

    def elapsed_s(self) -> float:
        """Seconds since then; the longer of both, so that nobody takes himself for younger than he is."""
        return max(time.monotonic() - self._monotonic_s, (datetime.now(UTC) - self._at).total_seconds())


class Claim:
    """A lease of ours. Nothing removes the weights while it is alive."""

    def __init__(self, store: ObjectStore, key_prefix: str, holder: str, hold_s: float) -> None:
        self._store = store
        self._prefix, self._hold_s = key_prefix, hold_s
        self._key = f"{LEASES}{key_prefix}{uuid.uuid4().hex}.json"
        self._holder = holder
        self._renewed = self._write(store)

    def renew(self) -> None:
        """Start its time again when much of it has gone; call it often, and before publishing.

        Raises ClaimLostError when it ended unnoticed, as on a machine that slept: what was stored under it
        may have been removed.
        """
        elapsed_s = self._renewed.elapsed_s()
        if elapsed_s >= self._hold_s:
            raise ClaimLostError(
                f"{self._prefix}: this run was suspended for {elapsed_s:.0f} s, longer than its lease of "
                f"{self._hold_s:.0f} s. Nothing was published. Run this again."
            )
        if elapsed_s >= self._hold_s / 12:
            # The store may be away for a while; there is time for the next call to succeed.
            with contextlib.suppress(ObjectStoreError):
                self._renewed = self._write(self._store.at_once)

    def release(self) -> None:
        """End it: nobody is at the weights any more. Its object stays and tells when they were asked for."""
        # A lease that cannot be ended now ends by itself.
        with contextlib.suppress(ObjectStoreError):
            self._store.at_once.put(self._key, _encoded(self._holder, 0), content_type="application/json")

    def _write(self, store: ObjectStore) -> Moment:
        began = Moment()
        body = _encoded(self._holder, self._hold_s)
        store.put(self._key, body, content_type="application/json")
        return began


def _encoded(holder: str, hold_s: float) -> bytes:
    return json.dumps({"schema": 1, "holder": holder, "hold_s": hold_s}).encode()


def claim(
    store: ObjectStore,
    name: str,
    commit: str,
    holder: str,
    *,
    hold_s: float | None = None,
    terms: Terms | None = None,
    report: Callable[[str], None] | None = None,
) -> Claim:
    """Say that these weights are needed, then wait for the collector that was there before, if any.

    After it, what is published stays for `hold_s` seconds (an hour), so look for the manifest only then.
    `holder` is who needs them, for people. Raises CollectionInProgressError or ObjectStoreError.
    """
    key_prefix = prefix(name, commit)
    ours = Claim(store, key_prefix, holder, HOLD_S if hold_s is None else hold_s)
    _wait_for_collectors(store, key_prefix, terms or Terms(), report or _silent)
    return ours


def leases(store: ObjectStore, under: str = "weights/") -> list[Lease]:
    """Every lease on weights under that prefix, dead ones too, the last written first."""
    read = (_read_lease(store, item) for item in list(ages.objects(store, LEASES + under)))
    there = (lease for lease in read if lease is not None)
    return sorted(there, key=lambda lease: lease.written_at, reverse=True)


def _read_lease(store: ObjectStore, item: Aged) -> Lease | None:
    body = store.get(item.key)
    if body is None:
        return None  # removed since it was listed
    key_prefix = item.key.removeprefix(LEASES).rsplit("/", 1)[0] + "/"
    try:
        read = json.loads(body)
        return Lease(item.key, key_prefix, str(read["holder"]), float(read["hold_s"]), item.written_at)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFileError(
            f"{item.key} in bucket {store.location.bucket}: not a lease ({error!r}), so who needs "
            f"{key_prefix} is not known. Remove this object, then run this again."
        ) from error


@dataclass(frozen=True)
class Mark:
    """A collector is at the weights under one prefix."""

    key: str
    began: Moment = field(default_factory=Moment)

    def has_lapsed(self, terms: Terms) -> bool:
        """Whether its collector may do nothing more."""
        return self.began.elapsed_s() > terms.act_s


def condemn(store: ObjectStore, key_prefix: str) -> Mark:
    """Write a mark. Whoever asks for these weights from now on waits until it is gone."""
    mark = Mark(f"{MARKS}{key_prefix}{uuid.uuid4().hex}.json")
    store.put(mark.key, b'{"schema": 1}', content_type="application/json")
    return mark


def pardon(store: ObjectStore, marks: Iterable[Mark]) -> None:
    """Remove marks, whatever became of the weights."""
    for mark in marks:
        store.delete(mark.key)


def remove_dead_marks(store: ObjectStore, now: datetime, terms: Terms, under: str = "weights/") -> int:
    """Remove marks of collectors that died; returns how many. What they left half removed has no manifest."""
    dead = [mark for mark in list(ages.objects(store, MARKS + under)) if _is_dead(mark, now, terms)]
    for mark in dead:
        store.delete(mark.key)
    return len(dead)


def _wait_for_collectors(
    store: ObjectStore, key_prefix: str, terms: Terms, report: Callable[[str], None]
) -> None:
    """Return when no mark is there. A collector that comes later sees our lease, so this ends."""
    end = time.monotonic() + 2 * terms.mark_s
    told = False
    while any(ages.objects(store, MARKS + key_prefix)):
        remove_dead_marks(store, ages.now(store), terms, key_prefix)
        if not told:
            report(f"{key_prefix}: garbage collection is at it; waiting, {terms.mark_s:.0f} s at most")
            told = True
        if time.monotonic() >= end:
            raise CollectionInProgressError(
                f"{key_prefix}: marked for removal under {MARKS} for {2 * terms.mark_s:.0f} s, longer than "
                "any collector works. Run this again; if it stays, end the `slipway weights gc` that runs."
            )
        time.sleep(terms.poll_s)


def _is_dead(mark: Aged, now: datetime, terms: Terms) -> bool:
    return now - mark.written_at >= timedelta(seconds=terms.mark_s)


def _silent(line: str) -> None:
    """Report to nobody."""

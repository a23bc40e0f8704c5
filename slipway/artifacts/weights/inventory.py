"""What lies in the store under `weights/`, commit by commit: published, half pulled, claimed.

Belongs here: reading it into values.
Does not: judging it (retention.py), or who names it (uses.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from slipway.artifacts.weights import ages, claims
from slipway.artifacts.weights.ages import Aged
from slipway.artifacts.weights.claims import Lease
from slipway.artifacts.weights.manifest import prefix
from slipway.artifacts.weights.paths import MANIFEST_NAME
from slipway.catalog.fields import NAME_PATTERN
from slipway.objectstore import ObjectStore

# When a collector first saw weights that nobody names: their time of grace starts then.
NOTES = "unreferenced/"

_KEY = re.compile(
    rf"^weights/(?P<name>{NAME_PATTERN.strip('^$')})/(?P<commit>[0-9a-f]{{40,64}})/(?P<path>.+)$"
)


@dataclass(frozen=True)
class Stored:
    """The weights of one name at one commit. Sizes and counts leave the manifest out.

    `published_at` is when the manifest was written, None without one; `touched_at` when anything was, an
    upload's beginning too. `unused_since` is when a collector first found that nobody names them.
    """

    name: str
    commit: str
    published_at: datetime | None
    touched_at: datetime
    files: int
    size_bytes: int
    oldest_upload_at: datetime | None = None
    leases: tuple[Lease, ...] = ()
    unused_since: datetime | None = None

    @property
    def prefix(self) -> str:
        """Key prefix of the files."""
        return prefix(self.name, self.commit)

    @property
    def last_asked_for_at(self) -> datetime:
        """When somebody last published or claimed them."""
        return max([self.published_at or self.touched_at, *(lease.written_at for lease in self.leases)])


@dataclass(frozen=True)
class Inventory:
    """Everything under `weights/` at one moment of the store's clock.

    `leases` are all that there are, those on absent weights, too.
    """

    now: datetime
    stored: tuple[Stored, ...]
    leases: tuple[Lease, ...]


def read(store: ObjectStore) -> Inventory:
    """List the store; raises ObjectStoreError, or CorruptFileError for a lease that cannot be read."""
    now = ages.now(store)
    files = _by_commit(ages.objects(store, "weights/"))
    uploads = _by_commit(ages.uploads(store, "weights/"))
    notes = {note.key.removeprefix(NOTES).removesuffix(".json"): note for note in ages.objects(store, NOTES)}
    leases = claims.leases(store)
    stored = (
        _stored(
            *key,
            files.get(key, []),
            uploads.get(key, []),
            tuple(lease for lease in leases if lease.prefix == prefix(*key)),
            notes.get(prefix(*key).rstrip("/")),
        )
        for key in sorted(files.keys() | uploads.keys())
    )
    return Inventory(now, tuple(stored), tuple(leases))


def note_key(stored: Stored) -> str:
    """Key of the note that nobody names these weights."""
    return f"{NOTES}{stored.prefix.rstrip('/')}.json"


def _by_commit(items: Iterable[Aged]) -> dict[tuple[str, str], list[Aged]]:
    grouped: dict[tuple[str, str], list[Aged]] = defaultdict(list)
    for item in items:
        match = _KEY.match(item.key)
        if match:  # anything else under weights/ is not Slipway's, and is left alone
            grouped[match["name"], match["commit"]].append(item)
    return grouped


def _stored(
    name: str,
    commit: str,
    objects: list[Aged],
    uploads: list[Aged],
    leases: tuple[Lease, ...],
    note: Aged | None,
) -> Stored:
    manifest_key = prefix(name, commit) + MANIFEST_NAME
    files = [item for item in objects if item.key != manifest_key]
    published = next((item.written_at for item in objects if item.key == manifest_key), None)
    return Stored(
        name=name,
        commit=commit,
        published_at=published,
        touched_at=max(item.written_at for item in (*objects, *uploads)),
        files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
        oldest_upload_at=min((upload.written_at for upload in uploads), default=None),
        leases=leases,
        unused_since=note.written_at if note else None,
    )

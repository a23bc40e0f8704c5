"""Verified copies of published weights on one node, shared by all engines there and bounded in size.

Belongs here: filling an entry from the store, checking what is held, making room.
Does not: who uses an entry (locks.py), publishing (slipway.artifacts.weights), what an engine reads of it.

Layout: `<name>/<commit>/files/...` beside `verified.json`; `.partial/<entry>/` while it is filled; `.locks/`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.artifacts.errors import ArtifactError, CorruptFileError, NoSpaceError, NotPublishedError
from slipway.artifacts.node.locks import CacheLocks
from slipway.artifacts.node.marker import Marker
from slipway.artifacts.transfer import workers
from slipway.artifacts.transfer.stored import stream
from slipway.artifacts.weights.manifest import Manifest, ManifestFile
from slipway.catalog.fields import NAME_PATTERN
from slipway.objectstore import ObjectStore, ObjectStoreError

_PREFIX = re.compile(rf"^weights/(?P<name>{NAME_PATTERN.strip('^$')})/(?P<commit>[0-9a-f]{{40,64}})/$")
_MARKER = "verified.json"
_READERS = 4


@dataclass(frozen=True)
class Held:
    """One entry of the cache as it lies on disk. `last_used` only orders entries."""

    entry: str
    size_bytes: int
    last_used: float


def candidates(held: Iterable[Held]) -> list[Held]:
    """Entries in the order in which they may go: least recently used first."""
    return sorted(held, key=lambda entry: (entry.last_used, entry.entry))


def lacking_bytes(needed: int, *, used: int, bound: int, disk_free: int) -> int:
    """Bytes to free before `needed` more fit under the bound and on the disk; zero or less when they do."""
    return max(used + needed - bound, needed - disk_free)


class NodeCache:
    """The cache in one directory. Any number of processes may share it; `max_bytes` bounds all entries."""

    def __init__(self, store: ObjectStore, directory: Path, max_bytes: int) -> None:
        self._store = store
        self._directory = directory.absolute()
        self._max_bytes = max_bytes
        self._locks = CacheLocks(self._directory / ".locks")

    def fetch(self, prefix: str) -> Path:
        """Directory with the verified files of the manifest at `weights/<name>/<commit>/`.

        Fills it from the store when needed, and keeps it from being removed until this process ends.
        Raises NotPublishedError, CorruptFileError, NoSpaceError or ObjectStoreError.
        """
        entry = _entry(prefix)
        marked = self._locks.mark_used(entry)
        try:
            with self._locks.filling(entry):
                manifest = self._manifest(prefix, entry)
                if not self._holds(entry, manifest):
                    self._fill(entry, manifest)
                os.utime(self._home(entry) / _MARKER)
                self._locks.mark_used(entry)  # again, in case another thread failed and took it off
                return self._home(entry) / "files"
        except BaseException as error:
            if marked:
                self._locks.release(entry)
            if isinstance(error, OSError):
                raise self._of_disk(prefix, error) from error
            raise

    def _manifest(self, prefix: str, entry: str) -> Manifest:
        """The store's manifest; while the store cannot be reached, the one that the entry was filled by."""
        try:
            manifest = Manifest.read_prefix(self._store, prefix)
        except ObjectStoreError:
            marker = Marker.read(self._home(entry) / _MARKER)
            if marker is None:
                raise
            return marker.manifest
        if manifest is None:
            raise NotPublishedError(
                f"{prefix}: not published in bucket {self._store.location.bucket}. "
                f"Pull its weights first: `slipway weights pull {entry.partition('@')[0]}`."
            )
        return manifest

    def _holds(self, entry: str, manifest: Manifest) -> bool:
        """True when the entry is whole: sizes each time, sha256 where a file was touched since."""
        home = self._home(entry)
        marker = Marker.read(home / _MARKER)
        if marker is None or marker.manifest.files != manifest.files:
            return False
        changed = marker.changed(home / "files")
        if changed is None or any(_sha256(home / "files" / file.path) != file.sha256 for file in changed):
            return False
        if changed:
            Marker.of(manifest, home / "files").write(home / _MARKER)
        return True

    def _fill(self, entry: str, manifest: Manifest) -> None:
        partial = self._partial(entry)
        self._reserve(entry, manifest.size_bytes)
        try:
            self._copy(manifest, partial / "files")
            Marker.of(manifest, partial / "files").write(partial / _MARKER)
            with self._locks.making_room():
                self._home(entry).parent.mkdir(parents=True, exist_ok=True)
                partial.rename(self._home(entry))
        finally:
            self._remove(partial)

    def _copy(self, manifest: Manifest, directory: Path) -> None:
        def copy(file: ManifestFile) -> None:
            self._copy_file(manifest.prefix + file.path, file, directory / file.path)

        workers.each(manifest.files, copy, workers=_READERS, tick=lambda: None)

    def _copy_file(self, key: str, file: ManifestFile, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with path.open("xb") as target:
            for piece in stream(self._store, key, file.size_bytes):
                target.write(piece)
                digest.update(piece)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != file.sha256:
            raise CorruptFileError(
                f"{key} in bucket {self._store.location.bucket}: sha256 {digest.hexdigest()}, but its "
                f"manifest says {file.sha256}. The store's copy is damaged: remove this object and the "
                "manifest beside it, then pull the weights again."
            )

    def _reserve(self, entry: str, needed_bytes: int) -> None:
        """Make room, then reserve it by an empty partial entry that states its size."""
        if needed_bytes > self._max_bytes:
            raise self._no_room(entry, needed_bytes, "that is more than the whole cache")
        with self._locks.making_room():
            self._remove_abandoned(entry)
            self._remove(self._home(entry))
            for oldest in candidates(self._held()):
                if self._lacking(needed_bytes) <= 0:
                    break
                with self._locks.unused(oldest.entry) as unused:
                    if unused:
                        self._remove(self._home(oldest.entry))
            lacking = self._lacking(needed_bytes)
            if lacking > 0:
                raise self._no_room(entry, needed_bytes, f"{lacking} bytes too many are in use")
            partial = self._partial(entry)
            partial.mkdir(parents=True)
            (partial / "reserved").write_text(str(needed_bytes))

    def _no_room(self, entry: str, needed_bytes: int, cause: str) -> NoSpaceError:
        free = shutil.disk_usage(self._directory).free
        return NoSpaceError(
            f"node cache {self._directory}: {entry} needs {needed_bytes} bytes, but {cause} (bound "
            f"{self._max_bytes} bytes, {free} bytes free on disk). Raise SLIPWAY_NODE_CACHE_BYTES "
            "on this node, free the disk, or run fewer models on this node."
        )

    def _of_disk(self, prefix: str, error: OSError) -> ArtifactError:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return NoSpaceError(
                f"node cache {self._directory}: no space left for {prefix}. "
                "Free space on this disk, or set SLIPWAY_NODE_CACHE to a larger one."
            )
        return ArtifactError(
            f"node cache {self._directory}: cannot hold {prefix}: {error}. "
            "Repair the directory, or set SLIPWAY_NODE_CACHE to another one."
        )

    def _remove_abandoned(self, entry: str) -> None:
        """Remove what processes that died left: partial entries that nobody marks, or only we for `entry`."""
        for doomed in (self._directory / ".removed").glob("*"):
            shutil.rmtree(doomed, ignore_errors=True)
        for partial in self._partials():
            with self._locks.unused(partial.name) as unused:
                if unused or partial.name == entry:
                    self._remove(partial)

    def _lacking(self, needed_bytes: int) -> int:
        reserved = sum(_reserved_bytes(partial) for partial in self._partials())
        return lacking_bytes(
            needed_bytes,
            used=reserved + sum(held.size_bytes for held in self._held()),
            bound=self._max_bytes,
            disk_free=shutil.disk_usage(self._directory).free,
        )

    def _held(self) -> Iterator[Held]:
        for path in self._directory.glob(f"[!.]*/*/{_MARKER}"):
            marker = Marker.read(path)
            size_bytes = marker.manifest.size_bytes if marker else _size_on_disk(path.parent)
            entry = f"{path.parent.parent.name}@{path.parent.name}"
            yield Held(entry, size_bytes, path.stat().st_mtime)

    def _partials(self) -> list[Path]:
        return sorted((self._directory / ".partial").glob("*@*"))

    def _remove(self, path: Path) -> None:
        """Remove a directory: moved aside first, so that no half of it is ever taken for the whole."""
        if path.exists():
            aside = self._directory / ".removed"
            aside.mkdir(parents=True, exist_ok=True)
            doomed = path.rename(aside / uuid.uuid4().hex)
            shutil.rmtree(doomed, ignore_errors=True)

    def _home(self, entry: str) -> Path:
        return self._directory.joinpath(*entry.split("@"))

    def _partial(self, entry: str) -> Path:
        return self._directory / ".partial" / entry


def _entry(prefix: str) -> str:
    weights = _PREFIX.match(prefix)
    if not weights:
        raise ArtifactError(f"{prefix!r}: not a weights prefix. It is weights/<name>/<commit>/.")
    return f"{weights['name']}@{weights['commit']}"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _reserved_bytes(partial: Path) -> int:
    try:
        return int((partial / "reserved").read_text() or 0)
    except (FileNotFoundError, ValueError):
        return 0  # gone meanwhile, or cut off by a full disk or a lost machine: nobody fills it


def _size_on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())

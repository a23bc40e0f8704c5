"""Until every file of a snapshot lies in the store and was digested there or on its way.

Belongs here: the rounds of transferring and reading back, and which bytes are believed.
Does not: carrying bytes (transfer/transfer.py), what is published of them (publishing.py).

S3 cannot read back the parts of an unfinished upload, and the state of a digest does not outlive its process.
So a file with parts of an earlier run is completed first and then read back; without a manifest its prefix
does not exist, and nobody reads what may still turn out wrong: docs/adr/0019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipway.artifacts.errors import CorruptFileError, SourceUnavailableError
from slipway.artifacts.source import Snapshot, SourceFile
from slipway.artifacts.transfer import workers
from slipway.artifacts.transfer.digests import RunningDigest
from slipway.artifacts.transfer.incoming import Job
from slipway.artifacts.transfer.progress import Meter, Report
from slipway.artifacts.transfer.resume import Unfinished
from slipway.artifacts.transfer.stored import stream
from slipway.artifacts.transfer.transfer import Transfer
from slipway.artifacts.transfer.uploads import Uploads
from slipway.artifacts.transfer.watch import TransferSettings, Watch
from slipway.artifacts.weights.inspection import Inspection
from slipway.objectstore import ObjectStore

# Each round that is lost was lost to another run that made progress; more than a few are a fault.
_ROUNDS = 6
_READERS = 4


@dataclass(frozen=True)
class _Unread:
    """A complete object that nobody digested yet; its bytes: found in the store, and moved by this run."""

    file: SourceFile
    found_bytes: int
    moved_bytes: int


class Delivery:
    """Brings the files of one snapshot under one prefix. `overtaken` raises when another run published it."""

    def __init__(
        self,
        snapshot: Snapshot,
        store: ObjectStore,
        settings: TransferSettings,
        source: str,
        key_prefix: str,
        overtaken: Callable[[], None],
    ) -> None:
        self._store = store
        self._source = source
        self._key_prefix = key_prefix
        self._overtaken = overtaken
        self._transfer = Transfer(snapshot, store.at_once, settings, source)
        self._sha256: dict[str, str] = {}
        self._distrusted: set[str] = set()
        self.inspection = Inspection(store, key_prefix)

    def run(self, files: Sequence[SourceFile], meter: Meter, report: Report) -> dict[str, str]:
        """Bring what is missing; returns sha256 by path once every file is as the source lists it.

        Raises CorruptFileError naming the file, AccessError, SourceError, SourceUnavailableError,
        ObjectStoreError, or what `overtaken` raises. What was transferred stays for the next run.
        """
        watch = Watch(meter, report, self.inspection.passing, self._overtaken)
        for _ in range(_ROUNDS):
            left = [file for file in files if file.path not in self._sha256]
            if not left:
                return self._sha256
            self._round(left, watch)
        lost = next(file.path for file in files if file.path not in self._sha256)
        if lost in self._distrusted:
            raise CorruptFileError(
                f"{self._source} file {lost}: what the store gives back is not what the source lists. "
                "Nothing was published. Check the store, then run this again."
            )
        raise SourceUnavailableError(
            f"{self._source} file {lost}: its upload was ended by others {_ROUNDS} times. Nothing was "
            "published. See who aborts uploads in this bucket, then run this again."
        )

    def _round(self, files: Sequence[SourceFile], watch: Watch) -> None:
        stored = {item.key: item.size_bytes for item in self._store.list(self._key_prefix)}
        complete = [
            file
            for file in files
            if stored.get(self._key_prefix + file.path) == file.size_bytes
            and file.path not in self._distrusted
        ]
        known = {file.path for file in complete}
        jobs = [Job(file, self._key_prefix + file.path) for file in files if file.path not in known]
        unread = [_Unread(file, file.size_bytes, 0) for file in complete]
        unread += self._transferred(jobs, watch)
        workers.each(
            unread,
            lambda file: self._read_back(file, watch.meter),
            workers=_READERS,
            tick=lambda: watch.report(watch.meter.look()),
        )

    def _transferred(self, jobs: Sequence[Job], watch: Watch) -> list[_Unread]:
        """Transfer the files; returns those that are complete and must still be read back."""
        if not jobs:
            return []
        unread = []
        for incoming in self._transfer.run(jobs, self._unfinished(), watch):
            file = incoming.job.file
            if incoming.certain:
                self._sha256[file.path] = incoming.digest.sha256
            elif incoming.complete:
                unread.append(_Unread(file, incoming.adopted_bytes, incoming.moved_bytes))
            else:
                watch.meter.moved(-incoming.moved_bytes)
        return unread

    def _unfinished(self) -> list[Unfinished]:
        """Uploads to go on with: not those of a file that came out wrong."""
        doubted = {self._key_prefix + path for path in self._distrusted}
        uploads = Uploads(self._store).unfinished(self._key_prefix)
        return [upload for upload in uploads if upload.key not in doubted]

    def _read_back(self, unread: _Unread, meter: Meter) -> None:
        """Digest an object as the store has it. One that is wrong is fetched again, afresh."""
        file = unread.file
        running, first = RunningDigest(file.size_bytes, file.digest), True
        for piece in stream(self._store, self._key_prefix + file.path, file.size_bytes):
            if first:
                self.inspection.passing(file, piece)
            first = False
            running.update(piece)
        if running.so_far == file.digest:
            self._sha256[file.path] = running.sha256
            meter.found(unread.found_bytes)
            meter.file_done()
        else:
            self._distrusted.add(file.path)
            self._transfer.afresh(file.path)
            meter.moved(-unread.moved_bytes)

"""From a source straight into the store: parts read, digested in order and uploaded, several at a time.

Belongs here: the life of one file's upload, and the workers that carry parts.
Does not: which files (weights.py), how a source is read (hub.py), the S3 calls (uploads.py).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from slipway.artifacts import workers
from slipway.artifacts.digests import RunningDigest
from slipway.artifacts.errors import CorruptFileError
from slipway.artifacts.parts import Part, TransferLimits, count_parts, cut, part_bytes
from slipway.artifacts.progress import Meter, Report
from slipway.artifacts.retry import RetryPolicy, attempt
from slipway.artifacts.source import Snapshot, SourceFile
from slipway.artifacts.uploads import Uploads
from slipway.objectstore import ObjectStore, ObjectStoreError


@dataclass(frozen=True)
class Job:
    """One file to bring into the store, and its key there."""

    file: SourceFile
    key: str


@dataclass(frozen=True)
class TransferSettings:
    """How a transfer behaves; the defaults suit a fast network and 256 MiB of memory."""

    limits: TransferLimits = field(default_factory=TransferLimits)
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class Transfer:
    """Brings files of one snapshot into one store. Each key appears complete and verified, or not at all."""

    def __init__(self, snapshot: Snapshot, store: ObjectStore, settings: TransferSettings, name: str) -> None:
        self._snapshot = snapshot
        self._store = store
        self._settings = settings
        self._name = name
        self._uploads = Uploads(store)
        self._stop = workers.Stop()

    def run(self, jobs: Sequence[Job], meter: Meter, report: Report) -> dict[str, str]:
        """Transfer all files; returns sha256 by path. Nothing of ours is left half-uploaded when it raises.

        Raises CorruptFileError naming the file, AccessError, SourceError, SourceUnavailableError or
        ObjectStoreError.
        """
        sizes = [job.file.size_bytes for job in jobs]
        limits = self._settings.limits
        files = [_Incoming(job, count_parts(job.file.size_bytes, limits), self._stop) for job in jobs]
        largest = max((min(size, part_bytes(size, limits)) for size in sizes), default=0)

        def work(parts: Iterator[Part]) -> None:
            buffer = memoryview(bytearray(largest))  # one per worker: this is all the memory there is
            for part in parts:
                self._carry(part, files[part.file], buffer[: part.length], meter)

        try:
            workers.run(
                cut(sizes, limits),
                work,
                workers=limits.workers(largest),
                stop=self._stop,
                tick=lambda: report(meter.look()),
            )
        except BaseException:
            # A store that fails now, too, must not hide the cause; the next pull's end clears what stays.
            with contextlib.suppress(ObjectStoreError):
                self._uploads.abort_open()
            raise
        return {each.job.file.path: each.digest.sha256 for each in files}

    def _carry(self, part: Part, incoming: _Incoming, buffer: memoryview, meter: Meter) -> None:
        """Read one part, send it, and digest it when its turn comes."""
        self._stop.check()
        job, retry = incoming.job, self._settings.retry
        attempt(
            retry,
            lambda: self._snapshot.read_into(job.file, part.offset, buffer, meter.moved),
            self._stop.pause,
        )
        if incoming.parts == 1:
            incoming.digest.update(buffer)
            self._verify(incoming)
            self._store.put(job.key, bytes(buffer))
            meter.file_done()
            return
        upload_id = incoming.upload_id(self._uploads)
        etag = attempt(
            retry,
            lambda: self._uploads.put_part(job.key, upload_id, part.number, buffer),
            self._stop.pause,
        )
        if incoming.arrived(part.number, buffer, etag):
            self._verify(incoming)
            self._uploads.complete(job.key, upload_id, incoming.etags)
            meter.file_done()

    def _verify(self, incoming: _Incoming) -> None:
        """Before the object appears: its digest must be the one that the source listed."""
        file, found = incoming.job.file, incoming.digest.found
        if found is not None and file.digest is not None and found != file.digest:
            raise CorruptFileError(
                f"{self._name} file {file.path}: {file.size_bytes} bytes arrived with {found.algorithm} "
                f"{found.hex}, but the source lists {file.digest.hex}. Nothing was published. Run this "
                "again; if it stays, the source's copy is damaged: ask its owner, or pin another commit."
            )


class _Incoming:
    """One file on its way: its upload, its digest so far, and whose turn it is."""

    def __init__(self, job: Job, parts: int, stop: workers.Stop) -> None:
        self.job = job
        self.parts = parts
        self.digest = RunningDigest(job.file.size_bytes, job.file.digest)
        self._etags: dict[int, str] = {}
        self._upload_id: str | None = None
        self._next = 1
        self._turn = threading.Condition()
        self._stop = stop

    @property
    def etags(self) -> list[str]:
        """Entity tags of all parts, in order."""
        return [self._etags[number] for number in range(1, self.parts + 1)]

    def upload_id(self, uploads: Uploads) -> str:
        """The upload of this file, begun by whoever asks first."""
        with self._turn:
            if self._upload_id is None:
                self._upload_id = uploads.create(self.job.key)
            return self._upload_id

    def arrived(self, number: int, body: memoryview, etag: str) -> bool:
        """Digest the part when all before it are digested; True for the last one.

        Parts are handed out in order, so whoever we wait for is at work; we hold no lock while digesting.
        """
        with self._turn:
            while self._next != number:
                self._stop.check()
                self._turn.wait(timeout=0.5)
        self.digest.update(body)
        with self._turn:
            self._etags[number] = etag
            self._next += 1
            self._turn.notify_all()
            return self._next > self.parts

"""From a source straight into the store: parts read, digested in order and sent, several at a time.

Belongs here: the workers that carry parts.
Does not: which files and what is believed of them (weights/delivery.py), how a source is read
(slipway.artifacts.sources), the S3 calls (uploads.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from slipway.artifacts.errors import CorruptFileError
from slipway.artifacts.source import Count, Snapshot, SourceFile, StoredAt
from slipway.artifacts.transfer import copying, workers
from slipway.artifacts.transfer.copying import CopyRefusedError
from slipway.artifacts.transfer.incoming import Incoming, Job, Piece
from slipway.artifacts.transfer.parts import cut, cut_for_copy
from slipway.artifacts.transfer.ramp import Ramp
from slipway.artifacts.transfer.resume import Unfinished, choose
from slipway.artifacts.transfer.retry import TransientError, attempt
from slipway.artifacts.transfer.store_answers import UploadGoneError
from slipway.artifacts.transfer.uploads import Sent, Uploads
from slipway.artifacts.transfer.watch import TransferSettings, Watch
from slipway.objectstore import ObjectStore, ObjectStoreError

T = TypeVar("T")


class Transfer:
    """Brings files of one snapshot into one store; what is left of an interrupted run is gone on with."""

    def __init__(self, snapshot: Snapshot, store: ObjectStore, settings: TransferSettings, name: str) -> None:
        self._snapshot = snapshot
        self._store = store
        self._settings = settings
        self._name = name
        self._uploads = Uploads(store)
        self._stop = workers.Stop()
        self._ramp = Ramp(self._stop)
        self._afresh: set[str] = set()
        self._policy = settings.retry

    def run(self, jobs: Sequence[Job], unfinished: Sequence[Unfinished], watch: Watch) -> list[Incoming]:
        """Transfer the files, going on with these uploads where they fit; returns what became of each.

        A file that is not `complete` lost its upload to another run. Uploads stay when this raises, for the
        next run: CorruptFileError naming the file, AccessError, SourceError, SourceUnavailableError,
        ObjectStoreError, or what `watch.overtaken` raises.
        """
        self._policy = replace(self._settings.retry, tell=watch.meter.waits)
        files = [self._incoming(job) for job in jobs]
        limits = self._settings.limits
        # Copies hold nothing in memory.
        held = (incoming for incoming in files if incoming.copied_from is None)
        largest = max((min(incoming.cut.size_bytes, incoming.cut.step_bytes) for incoming in held), default=0)
        size = limits.buffer_bytes(largest)

        def work(pieces: Iterator[Piece]) -> None:
            buffer = memoryview(bytearray(size))  # one per worker: this is all the memory there is
            for piece in pieces:
                self._carry(piece, buffer, watch)

        workers.run(
            self._pieces(files, unfinished),
            work,
            workers=limits.workers(largest),
            stop=self._stop,
            tick=lambda: watch.report(watch.meter.look()),
        )
        return files

    def afresh(self, path: str) -> None:
        """From now on fetch this file from its source alone: no copy, and digested on the way."""
        self._afresh.add(path)

    def _incoming(self, job: Job) -> Incoming:
        limits, size_bytes = self._settings.limits, job.file.size_bytes
        at = None if job.file.path in self._afresh else self._snapshot.stored_at(job.file)
        if at is not None and not copying.is_same_store(at, self._store.location):
            at = None
        how = cut_for_copy(size_bytes, limits) if at else cut(size_bytes, limits)
        held = how.step_bytes <= limits.buffer_bytes(how.step_bytes)
        return Incoming(job, how, self._stop, digested=held and at is None, copied_from=at)

    def _pieces(self, files: Sequence[Incoming], unfinished: Sequence[Unfinished]) -> Iterator[Piece]:
        """All missing parts of all files, file after file and in order, each when it may start."""
        for incoming in files:
            if not incoming.whole:
                self._begin(incoming, [upload for upload in unfinished if upload.key == incoming.job.key])
            for number in incoming.missing or [0]:
                piece = Piece(incoming, number)
                self._ramp.begin(piece.at_risk_bytes)
                yield piece

    def _begin(self, incoming: Incoming, unfinished: Sequence[Unfinished]) -> None:
        with_parts = self._patiently(lambda: [self._uploads.with_parts(upload) for upload in unfinished])
        adopted = choose(with_parts, incoming.cut)
        if adopted is not None:
            incoming.go_on(adopted)

    def _place(self, incoming: Incoming) -> tuple[str, str]:
        """Where its parts go: key and upload."""
        key = incoming.job.key
        return key, incoming.upload_id(lambda: self._patiently(lambda: self._uploads.create(key)))

    def _carry(self, piece: Piece, buffer: memoryview, watch: Watch) -> None:
        """Bring one part, and complete the file after its last."""
        self._stop.check()
        incoming = piece.incoming
        body = buffer[: piece.length] if piece.length <= len(buffer) else None
        sent = None
        try:
            try:
                sent = None if incoming.gone else self._bring(piece, body, buffer, watch)
            finally:
                self._ramp.end(piece.at_risk_bytes, brought=sent is not None)
            if sent is not None and incoming.arrived(piece.number, body, sent):
                self._complete(incoming, buffer, watch)
        except UploadGoneError:
            incoming.give_up()
            watch.overtaken()
        except CopyRefusedError:
            incoming.give_up()
            self.afresh(incoming.job.file.path)

    def _bring(self, piece: Piece, body: memoryview | None, buffer: memoryview, watch: Watch) -> Sent:
        """Read one part and send it, or let the store copy it."""
        incoming = piece.incoming
        if piece.number == 0:
            return Sent("", proven=True)
        at = incoming.copied_from
        if at is not None:
            sent = self._patiently(lambda: self._copied(piece, at))
            self._moved(incoming, watch)(piece.length)
            return sent
        if body is None:
            return self._patiently(lambda: self._streamed(piece, buffer, watch))
        self._read(incoming, piece.offset, body, watch)
        if piece.number == 1:
            watch.began(incoming.job.file, body)
        if not incoming.whole:
            place = self._place(incoming)
            return self._patiently(lambda: self._uploads.put_part(*place, piece.number, body))
        incoming.digest.update(body)
        if not _is_as_listed(incoming):
            incoming.begin_again()
            self._read_again(piece, body)
            incoming.digest.update(body)
        self._verify(incoming)
        return self._patiently(lambda: self._uploads.put(incoming.job.key, body))

    def _copied(self, piece: Piece, at: StoredAt) -> Sent:
        incoming = piece.incoming
        with copying.explained(at, self._name, incoming.job.file.path):
            if incoming.whole:
                return self._uploads.copy(incoming.job.key, at)
            place = self._place(incoming)
            return self._uploads.copy_part(*place, piece.number, at, piece.offset, piece.length)

    def _streamed(self, piece: Piece, buffer: memoryview, watch: Watch) -> Sent:
        """A part larger than the buffer, slice by slice."""
        read_bytes = 0

        def slices() -> Iterator[memoryview]:
            nonlocal read_bytes
            while read_bytes < piece.length:
                body = buffer[: min(len(buffer), piece.length - read_bytes)]
                self._read(piece.incoming, piece.offset + read_bytes, body, watch)
                if piece.number == 1 and read_bytes == 0:
                    watch.began(piece.incoming.job.file, body)
                read_bytes += len(body)
                yield body

        place = self._place(piece.incoming)
        try:
            return self._uploads.stream_part(*place, piece.number, piece.length, slices())
        except BaseException:
            self._moved(piece.incoming, watch)(-read_bytes)  # they will come again
            raise

    def _complete(self, incoming: Incoming, buffer: memoryview, watch: Watch) -> None:
        if not incoming.whole:
            if incoming.digested and not _is_as_listed(incoming):
                self._mend(incoming, buffer, watch)
            if incoming.digested:
                self._verify(incoming)
            place, etags = self._place(incoming), incoming.etags
            whole = self._patiently(lambda: self._uploads.complete(*place, etags))
            incoming.proven = incoming.proven and whole
        self._require_unchanged(incoming)
        incoming.complete = True
        if incoming.certain:
            watch.meter.file_done()

    def _mend(self, incoming: Incoming, buffer: memoryview, watch: Watch) -> None:
        """Read parts again until one differs from what was sent, and send that one anew.

        A digest of the whole file does not tell which part was damaged on its way; a second look at each
        does. Where none differs, the source itself has it so.
        """
        watch.meter.waits(
            f"{self._name} file {incoming.job.file.path}: a part was damaged on its way; looking for it."
        )
        for number in range(1, incoming.cut.count + 1):
            self._stop.check()
            piece = Piece(incoming, number)
            body = buffer[: piece.length]
            self._read_again(piece, body)
            if not incoming.is_what_was_sent(number, body):
                place = self._place(incoming)
                sent = self._patiently(partial(self._uploads.put_part, *place, number, body))
                incoming.mended(number, sent)
                return

    def _read_again(self, piece: Piece, body: memoryview) -> None:
        """Bytes that were counted when they came first."""
        self._read_counted(piece.incoming.job.file, piece.offset, body, lambda size_bytes: None)

    def _require_unchanged(self, incoming: Incoming) -> None:
        """Where no digest tells: some stores copy whatever is there, and do not mind the condition."""
        at, file = incoming.copied_from, incoming.job.file
        if at is None or file.digest is not None:
            return

        def still() -> bool:
            with copying.explained(at, self._name, file.path):
                return self._uploads.is_still(at)

        if not self._patiently(still):
            raise copying.changed(at, self._name, file.path)

    def _verify(self, incoming: Incoming) -> None:
        """Before the object appears: its digest must be the one that the source listed."""
        file, arrived = incoming.job.file, incoming.digest.so_far
        if arrived is None or file.digest is None or _is_as_listed(incoming):
            return
        if not incoming.whole:
            with contextlib.suppress(ObjectStoreError):  # must not hide the cause; nobody can complete it
                self._uploads.abort(*self._place(incoming))
        raise CorruptFileError(
            f"{self._name} file {file.path}: {file.size_bytes} bytes arrived with {arrived.algorithm} "
            f"{arrived.hex}, but the source lists {file.digest.hex}. Nothing was published. Run this "
            "again; if it stays, the source's copy is damaged: ask its owner, or pin another commit."
        )

    def _read(self, incoming: Incoming, offset: int, body: memoryview, watch: Watch) -> None:
        self._read_counted(incoming.job.file, offset, body, self._moved(incoming, watch))

    def _read_counted(self, file: SourceFile, offset: int, body: memoryview, count: Count) -> None:
        """Fill the body; an attempt goes on where the one before it broke off."""
        at = 0

        def counted(size_bytes: int) -> None:
            nonlocal at
            at += size_bytes
            count(size_bytes)

        def read() -> None:
            self._snapshot.read_into(file, offset + at, body[at:], counted)

        self._patiently(read, lambda: at)

    def _moved(self, incoming: Incoming, watch: Watch) -> Count:
        def count(size_bytes: int) -> None:
            incoming.moved(size_bytes)
            watch.meter.moved(size_bytes)

        return count

    def _patiently(self, action: Callable[[], T], moved_bytes: Callable[[], int] = lambda: 0) -> T:
        """Try again what may pass, also a store that is starting again."""

        def tried() -> T:
            try:
                return action()
            except ObjectStoreError as error:
                if error.unreachable:
                    raise TransientError(str(error)) from error
                raise

        return attempt(self._policy, tried, self._stop.pause, moved_bytes=moved_bytes)


def _is_as_listed(incoming: Incoming) -> bool:
    """Whether its digest is the one that the source listed, where it lists any."""
    arrived, listed = incoming.digest.so_far, incoming.job.file.digest
    return arrived is None or listed is None or arrived == listed

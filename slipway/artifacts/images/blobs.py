"""One blob from registry to registry: skipped, mounted or streamed, and never committed with wrong bytes.

Belongs here: the stream and its digest (the registry's own check, where it has one), going on after a broken
read, cancelling a broken upload.
Does not: which blobs there are (mirror.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from slipway.artifacts.errors import CorruptFileError
from slipway.artifacts.images.client import RegistryClient
from slipway.artifacts.images.digest_trial import DigestTrial
from slipway.artifacts.images.errors import DigestRefusedError
from slipway.artifacts.images.manifests import Descriptor
from slipway.artifacts.images.references import Repository, new_hash
from slipway.artifacts.transfer.filling import fill
from slipway.artifacts.transfer.progress import Meter
from slipway.artifacts.transfer.retry import TransientError, next_wait_s
from slipway.artifacts.transfer.workers import Stop

# Small pieces cost CPU: each is a turn at the interpreter's lock for reader, digest and writer. Larger ones
# leave the processor's cache between them.
_CHUNK_BYTES = 2**20
# Reads that go on where the last one broke off, before the blob is begun anew.
_READS = 4


@dataclass(frozen=True)
class BlobCopier:
    """Copies blobs of one repository to its mirror. Safe to share between threads."""

    source: RegistryClient
    repository: Repository
    target: RegistryClient
    mirrored: Repository
    meter: Meter
    stop: Stop
    trial: DigestTrial

    def copy(self, blob: Descriptor, mount_from: Callable[[str], Repository | None]) -> int:
        """Bring a blob to the mirror; returns the bytes that were streamed, 0 when it was there or mounted.

        `mount_from` names a repository of the local registry that has the blob, too.
        Raises ArtifactError; then the mirror does not have it.
        """
        self.stop.check()
        streamed = 0
        there = self.target.blob_size(self.mirrored, blob.digest)
        if there is None:
            mounted = mount_from(blob.digest)
            # What one piece holds is digested before anything is sent.
            is_digested = blob.size_bytes <= _CHUNK_BYTES or not self.trial.checks(self.mirrored)
            try:
                streamed = self._attempt(blob, mounted, is_digested=is_digested)
            except DigestRefusedError:
                if is_digested:
                    raise
                streamed = self._attempt(blob, mounted, is_digested=True)  # to know whose bytes are wrong
        if not streamed:
            self.meter.found(blob.size_bytes)
        self.meter.file_done()
        return streamed

    def _attempt(self, blob: Descriptor, mount_from: Repository | None, *, is_digested: bool) -> int:
        return self.target.attempt(
            lambda: self._transfer(blob, mount_from, is_digested=is_digested), self.stop.pause
        )

    def _transfer(self, blob: Descriptor, mount_from: Repository | None, *, is_digested: bool) -> int:
        """One attempt: mounted (0), or streamed whole."""
        upload: str | None = None
        if mount_from is not None:
            upload = self.target.start_upload(self.mirrored, blob.digest, mount_from)
            if upload is None:
                return 0
        stream = _Stream(self, blob, is_digested=is_digested)
        pieces = stream.pieces()
        try:
            # The first piece before the upload: what is missing or small and wrong begins none.
            first = tuple(itertools.islice(pieces, 1))
            upload = upload or self.target.start_upload(self.mirrored, blob.digest, None)
            if upload is not None:
                body = itertools.chain(first, pieces)
                self.target.put_blob(self.mirrored, upload, blob.digest, blob.size_bytes, body)
        except BaseException:
            self.meter.moved(-stream.at)
            if upload is not None:
                # distribution 2.8 refuses to cancel what has received bytes; it purges those after a week.
                self.target.cancel_upload(self.mirrored, upload)
            raise
        finally:
            pieces.close()
        return blob.size_bytes


class _Stream:
    """A blob's bytes as they come. `is_digested`: the last piece only comes when the digest is right."""

    def __init__(self, copier: BlobCopier, blob: Descriptor, *, is_digested: bool) -> None:
        self._copier = copier
        self._is_digested = is_digested
        self._blob = blob
        self._where = f"{copier.repository}, blob {blob.digest}"
        self.at = 0
        # Filled again for every piece: whoever takes one is done with it before the next.
        self._buffer = memoryview(bytearray(min(_CHUNK_BYTES, max(blob.size_bytes, 1))))

    def pieces(self) -> Generator[memoryview, None, None]:
        """All bytes, in order, once."""
        running = new_hash(self._blob.digest, self._where)
        for piece in self._raw():
            if self._is_digested:
                running.update(piece)
            self.at += len(piece)
            self._copier.meter.moved(len(piece))
            if self.at >= self._blob.size_bytes and self._is_digested:
                self._check(running.hexdigest())
            yield piece
            if self.at < self._blob.size_bytes:  # what is sent whole may as well be committed
                self._copier.stop.check()
        if self._blob.size_bytes == 0:
            self._check(running.hexdigest())

    def _raw(self) -> Iterator[memoryview]:
        """Pieces from several reads, each going on where the one before broke off."""
        for read in range(1, _READS + 1):
            try:
                yield from self._read()
            except TransientError as error:
                if read == _READS or self.at == 0:
                    raise
                self._copier.stop.pause(next_wait_s(self._copier.source.policy, read, error))
            else:
                return

    def _read(self) -> Iterator[memoryview]:
        copier, blob = self._copier, self._blob
        what = f"{self._where}: {copier.source.access.host}"
        with copier.source.open_blob(copier.repository, blob.digest, self.at) as reply:
            self._check_size(reply.length_remaining)
            while self.at < blob.size_bytes:
                count = fill(reply, self._buffer[: blob.size_bytes - self.at], what)
                if not count:
                    raise TransientError(f"{what} broke off after {self.at} of {blob.size_bytes} bytes.")
                yield self._buffer[:count]

    def _check_size(self, remaining: int | None) -> None:
        if remaining is not None and self.at + remaining != self._blob.size_bytes:
            raise CorruptFileError(
                f"{self._where}: {self.at + remaining} bytes at its source; the manifest says "
                f"{self._blob.size_bytes}. Nothing was published. Push the image there again."
            )

    def _check(self, hexadecimal: str) -> None:
        if hexadecimal != self._blob.digest.partition(":")[2]:
            raise CorruptFileError(
                f"{self._where}: its bytes at {self._copier.source.access.host} have the digest "
                f"{hexadecimal}. Nothing was published. Push the image there again."
            )

"""One file on its way into the store: its upload, its digest so far, and whose turn it is.

Belongs here: that state, shared between the workers that carry its parts.
Does not: carrying them (transfer.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from slipway.artifacts.source import SourceFile, StoredAt
from slipway.artifacts.transfer import integrity
from slipway.artifacts.transfer.digests import RunningDigest
from slipway.artifacts.transfer.parts import Cut
from slipway.artifacts.transfer.resume import Adopted
from slipway.artifacts.transfer.uploads import Sent
from slipway.artifacts.transfer.workers import Stop


@dataclass(frozen=True)
class Job:
    """One file to bring into the store, and its key there."""

    file: SourceFile
    key: str


@dataclass(frozen=True)
class Piece:
    """A part of one file, handed to a worker. `number` 0: nothing is missing but completing it."""

    incoming: Incoming
    number: int

    @property
    def offset(self) -> int:
        """First byte."""
        return self.incoming.cut.offset(self.number)

    @property
    def length(self) -> int:
        """Bytes to read from the source."""
        return self.incoming.cut.length(self.number) if self.number else 0

    @property
    def at_risk_bytes(self) -> int:
        """Bytes that are fetched again if we are killed now; a copy inside the store fetches none."""
        return 0 if self.incoming.copied_from else self.length


class Incoming:
    """A file on its way. Safe to share between threads.

    `digested`: in order, as its parts arrive. Otherwise (adopted parts, copies, parts too large to hold) the
    object must be read back once it is complete.
    """

    def __init__(
        self, job: Job, cut: Cut, stop: Stop, *, digested: bool, copied_from: StoredAt | None
    ) -> None:
        self.job = job
        self.cut = cut
        self.digested = digested
        # One part that is at hand as a whole, or that the store copies: no multipart upload.
        self.whole = cut.count == 1 and (digested or copied_from is not None)
        self.copied_from = copied_from
        self.proven = True
        self.complete = False
        self.digest = RunningDigest(job.file.size_bytes, job.file.digest)
        self.adopted_bytes = 0
        self.moved_bytes = 0
        self._upload_id: str | None = None
        self._etags: dict[int, str] = {}
        self._fingerprints: dict[int, str] = {}
        self._missing: list[int] = list(range(1, cut.count + 1))
        self._next = 1
        self._gone = False
        self._turn = threading.Condition()
        self._stop = stop

    @property
    def certain(self) -> bool:
        """Complete, and every byte was digested on its way; else the object must be read back."""
        return self.complete and self.digested and self.proven

    @property
    def missing(self) -> list[int]:
        """Numbers of the parts that this run must bring, in order."""
        return list(self._missing)

    @property
    def etags(self) -> list[str]:
        """Entity tags of all parts, in order."""
        return [self._etags[number] for number in range(1, self.cut.count + 1)]

    @property
    def gone(self) -> bool:
        """Its upload is over without us: no part of it is worth carrying any more."""
        with self._turn:
            return self._gone

    def go_on(self, adopted: Adopted) -> None:
        """Continue an upload of an earlier run, or of one that is under way."""
        self._upload_id = adopted.upload_id
        self._etags = dict(adopted.etags)
        self._missing = [number for number in self._missing if number not in adopted.etags]
        self.adopted_bytes = sum(self.cut.length(number) for number in adopted.etags)
        if adopted.etags:
            self.digested = False

    def upload_id(self, begin: Callable[[], str]) -> str:
        """Its upload, begun by whoever has the first part to send: a file that cannot be read gets none."""
        with self._turn:
            if self._upload_id is None:
                self._upload_id = begin()
            return self._upload_id

    def is_what_was_sent(self, number: int, body: memoryview) -> bool:
        """Whether these bytes are the ones that were sent as that part."""
        return integrity.is_same(self._fingerprints[number], body)

    def mended(self, number: int, sent: Sent) -> None:
        """A part was replaced: the digest on the way is void, and the object must be read back."""
        with self._turn:
            self._etags[number], self._fingerprints[number] = sent.etag, sent.fingerprint
            self.proven = self.proven and sent.proven
            self.digested = False

    def begin_again(self) -> None:
        """Digest anew: what was digested so far is void."""
        self.digest = RunningDigest(self.job.file.size_bytes, self.job.file.digest)

    def moved(self, count_bytes: int) -> None:
        """Count bytes that came from the source; negative takes back those of an attempt that failed."""
        with self._turn:
            self.moved_bytes += count_bytes

    def give_up(self) -> None:
        """Its upload is gone; whoever waits for a turn stops waiting."""
        with self._turn:
            self._gone = True
            self._turn.notify_all()

    def arrived(self, number: int, body: memoryview | None, sent: Sent) -> bool:
        """Note a part that the store has, digest it when its turn comes; True for the last one.

        Parts are handed out in order, so whoever we wait for is at work; no lock is held while digesting.
        """
        if self.digested and not self.whole and body is not None and self._wait_for_turn(number):
            self.digest.update(body)
        with self._turn:
            if number:
                self._etags[number] = sent.etag
                self._fingerprints[number] = sent.fingerprint
            self.proven = self.proven and sent.proven
            self._next += 1
            self._turn.notify_all()
            return len(self._etags) == self.cut.count and not self._gone

    def _wait_for_turn(self, number: int) -> bool:
        with self._turn:
            while self._next != number and not self._gone:
                self._stop.check()
                self._turn.wait(timeout=0.5)
            return not self._gone

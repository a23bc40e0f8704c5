"""Usage objects to lines: fetched side by side, unpacked and joined into batches of one hour.

Belongs here: fetching with bounded memory, gzip and its checks, batches.
Does not: what a line must look like and how DuckDB reads it (reading.py), what becomes of it (rollup.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from slipway.batchreader import BatchReader
from slipway.objectstore import ObjectStore, StoredObject

_FETCHERS = 8
_RUN_OBJECTS = (
    8  # of one task of a fetcher: a task of its own for each small object costs as much as reading it
)
_RUN_BYTES = 2 * 2**20
_FETCH_AHEAD = 16  # runs
_FETCH_AHEAD_BYTES = 32 * 2**20  # compressed; about eight times that in memory
# Lines are joined up to this size: a batch of a quarter of it costs 40% more CPU for each of its lines.
_BATCH_BYTES = 128 * 2**20

_FLAGS_AT, _RESERVED_FLAGS = 3, 0xE0  # of a gzip member's header (RFC 1952)

Listed = tuple[int, datetime, StoredObject]


class UnreadableObjectError(ValueError):
    """An object that is no complete gzip stream with lines in it; the message is the reason."""


@dataclass(frozen=True)
class FetchedObject:
    """One object as it was read: its lines joined, or the problem that it has as a whole."""

    number: int
    hour: datetime
    stored: StoredObject
    text: bytes
    problem: str | None


def unpack(body: bytes) -> bytes:
    """The lines of a gzip object (one member or many), ending with a newline; lengths and CRCs are checked.

    Raises UnreadableObjectError for an empty, truncated or corrupt object, and for one without lines.
    """
    if not body:
        raise UnreadableObjectError("empty object")
    from isal import isal_zlib  # a third of zlib's CPU; it checks lengths and CRCs alike

    members: list[bytes] = []
    rest = body
    while rest:
        if len(rest) > _FLAGS_AT and rest[_FLAGS_AT] & _RESERVED_FLAGS:  # which isal does not look at
            raise UnreadableObjectError("not readable as gzip: unknown flags in its header")
        member = isal_zlib.decompressobj(wbits=31)
        try:
            members.append(member.decompress(rest))
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub says an instance
            raise UnreadableObjectError(f"not readable as gzip: {error}") from error
        if not member.eof:
            raise UnreadableObjectError("truncated gzip stream")
        rest = member.unused_data
    text = b"".join(members) if len(members) > 1 else members[0]
    if not text:
        raise UnreadableObjectError("no lines")
    return text if text.endswith(b"\n") else text + b"\n"


def fetch(
    store: ObjectStore, listing: Sequence[tuple[datetime, StoredObject]]
) -> Generator[FetchedObject, None, None]:
    """Yield the objects in the order of the listing, reading a bounded number ahead.

    An object that is gone by now is left out; one that changed has the size and tag of what was read.
    Raises ObjectStoreError.
    """
    reader = BatchReader(store)
    with ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch-usage") as pool:
        ahead: deque[tuple[int, Future[list[FetchedObject]]]] = deque()
        ahead_bytes = 0
        try:
            for run in _runs(listing):
                while ahead and (len(ahead) >= _FETCH_AHEAD or ahead_bytes >= _FETCH_AHEAD_BYTES):
                    size_bytes, first = ahead.popleft()
                    ahead_bytes -= size_bytes
                    yield from first.result()
                run_bytes = sum(stored.size_bytes for _, _, stored in run)
                ahead.append((run_bytes, pool.submit(_fetch_run, reader, run)))
                ahead_bytes += run_bytes
            while ahead:
                yield from ahead.popleft()[1].result()
        finally:
            for _, waiting in ahead:
                waiting.cancel()


def batches(objects: Iterable[FetchedObject]) -> Iterator[list[FetchedObject]]:
    """Group readable objects into batches, each of one hour."""
    joined: list[FetchedObject] = []
    joined_bytes = 0
    for fetched in objects:
        if joined and (joined_bytes >= _BATCH_BYTES or joined[-1].hour != fetched.hour):
            yield joined
            joined, joined_bytes = [], 0
        joined.append(fetched)
        joined_bytes += len(fetched.text)
    if joined:
        yield joined


def _runs(listing: Sequence[tuple[datetime, StoredObject]]) -> Iterator[list[Listed]]:
    run: list[Listed] = []
    run_bytes = 0
    for number, (hour, stored) in enumerate(listing):
        if run and (len(run) >= _RUN_OBJECTS or run_bytes + stored.size_bytes > _RUN_BYTES):
            yield run
            run, run_bytes = [], 0
        run.append((number, hour, stored))
        run_bytes += stored.size_bytes
    if run:
        yield run


def _fetch_run(reader: BatchReader, run: Sequence[Listed]) -> list[FetchedObject]:
    fetched = (_fetch_one(reader, *listed) for listed in run)
    return [each for each in fetched if each is not None]


def _fetch_one(
    reader: BatchReader, number: int, hour: datetime, stored: StoredObject
) -> FetchedObject | None:
    body_and_etag = reader.get(stored.key)
    if body_and_etag is None:
        return None
    body, etag = body_and_etag
    read = StoredObject(stored.key, len(body), etag)
    try:
        return FetchedObject(number, hour, read, unpack(body), None)
    except UnreadableObjectError as error:
        return FetchedObject(number, hour, read, b"", str(error))

"""Usage objects to lines: fetched side by side, unpacked and joined into batches for DuckDB.

Belongs here: fetching with bounded memory, gzip and its checks, lines as Arrow.
Does not: what a line must look like (sql/read_lines.sql), what becomes of it (rollup.py).
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from slipway.objectstore import ObjectStore, StoredObject

if TYPE_CHECKING:
    import pyarrow as pa

_FETCHERS = 16
_FETCH_AHEAD = 64
_FETCH_AHEAD_BYTES = 32 * 2**20  # compressed; about eight times that in memory
# Lines of small objects are joined up to this size, and batches are handed over in groups of a few,
# so that DuckDB's threads all have one. Larger batches only make page faults.
_BATCH_BYTES = 8 * 2**20
_GROUP_BYTES = 64 * 2**20


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
    members: list[bytes] = []
    rest = body
    while rest:
        member = zlib.decompressobj(wbits=31)
        try:
            members.append(member.decompress(rest))
        except zlib.error as error:
            raise UnreadableObjectError(f"not readable as gzip: {error}") from error
        if not member.eof:
            raise UnreadableObjectError("truncated gzip stream")
        rest = member.unused_data
    text = b"".join(members)
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
    with ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch-usage") as pool:
        ahead: deque[tuple[int, Future[FetchedObject | None]]] = deque()
        ahead_bytes = 0
        try:
            for number, (hour, stored) in enumerate(listing):
                while ahead and (len(ahead) >= _FETCH_AHEAD or ahead_bytes >= _FETCH_AHEAD_BYTES):
                    size_bytes, first = ahead.popleft()
                    ahead_bytes -= size_bytes
                    yield from _present(first.result())
                ahead.append((stored.size_bytes, pool.submit(_fetch_one, store, number, hour, stored)))
                ahead_bytes += stored.size_bytes
            while ahead:
                yield from _present(ahead.popleft()[1].result())
        finally:
            for _, waiting in ahead:
                waiting.cancel()


def batches(objects: Iterator[FetchedObject]) -> Iterator[list[pa.RecordBatch]]:
    """Group the lines of readable objects into lists of (object_number, line_number, line) batches."""
    group: list[pa.RecordBatch] = []
    joined: list[FetchedObject] = []
    joined_bytes = group_bytes = 0
    for fetched in objects:
        joined.append(fetched)
        joined_bytes += len(fetched.text)
        if joined_bytes < _BATCH_BYTES:
            continue
        group.append(_lines(joined))
        group_bytes += joined_bytes
        joined, joined_bytes = [], 0
        if group_bytes >= _GROUP_BYTES:
            yield group
            group, group_bytes = [], 0
    if joined:
        group.append(_lines(joined))
    if group:
        yield group


def _fetch_one(store: ObjectStore, number: int, hour: datetime, stored: StoredObject) -> FetchedObject | None:
    body_and_etag = store.get_if_changed(stored.key, None)
    if body_and_etag is None:
        return None
    body, etag = body_and_etag
    read = StoredObject(stored.key, len(body), etag)
    try:
        return FetchedObject(number, hour, read, unpack(body), None)
    except UnreadableObjectError as error:
        return FetchedObject(number, hour, read, b"", str(error))


def _present(fetched: FetchedObject | None) -> Iterator[FetchedObject]:
    if fetched is not None:
        yield fetched


def _lines(objects: Sequence[FetchedObject]) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    text = b"".join(fetched.text for fetched in objects)
    lines = _split(text)
    object_ends = np.cumsum([len(fetched.text) for fetched in objects])
    counts = np.diff(np.searchsorted(_offsets(lines), object_ends), prepend=0)
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        text = b"".join(_as_utf8(line) + b"\n" for line in text[:-1].split(b"\n"))
        lines = _split(text)
    numbers = np.repeat(np.array([fetched.number for fetched in objects], np.int32), counts)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    line_numbers = (np.arange(len(numbers)) - starts + 1).astype(np.int32)
    return pa.RecordBatch.from_arrays(
        [pa.array(numbers), pa.array(line_numbers), lines], ["object_number", "line_number", "line"]
    )


def _split(text: bytes) -> Any:
    """The lines as an Arrow string array over `text` itself: nothing is copied."""
    import numpy as np
    import pyarrow as pa

    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")).astype(np.int64) + 1
    offsets = np.concatenate([np.zeros(1, np.int64), ends])
    return pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text))


def _offsets(lines: Any) -> Any:
    """Where each line begins in the text, and where the last one ends."""
    import numpy as np

    return np.frombuffer(lines.buffers()[1], np.int64)


def _as_utf8(line: bytes) -> bytes:
    """A line that is not UTF-8 becomes one that is not JSON, so that it is set aside and not repaired."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return b"not UTF-8: " + repr(line).encode()
    return line

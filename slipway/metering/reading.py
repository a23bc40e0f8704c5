"""Lines of usage objects into DuckDB: a batch at once where all of it counts, else line by line.

Belongs here: both ways, and the scratch file that the quick one reads.
Does not: what a line must be (sql/chunk_begin.sql), fetching and unpacking (events.py).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.metering.events import FetchedObject
from slipway.metering.warehouse import sql, transaction

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_PART_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Scratch:
    """A file in memory, or on disk where the system has none in memory, that DuckDB reads by its path."""

    descriptor: int
    path: str
    directory: Path  # for what has to be on disk

    def write(self, texts: Sequence[bytes]) -> None:
        """Replace what it holds."""
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        for text in texts:
            rest = memoryview(text)
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]


@contextmanager
def scratch(directory: Path) -> Iterator[Scratch]:
    """A scratch file; where it has to be on disk, it is in the directory."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("slipway-usage")
        try:
            yield Scratch(descriptor, f"/proc/self/fd/{descriptor}", directory)
        finally:
            os.close(descriptor)
        return
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=directory, prefix="usage-") as file:
        yield Scratch(file.fileno(), file.name, directory)


def read(connection: DuckDBPyConnection, batch: Sequence[FetchedObject], file: Scratch) -> None:
    """Bring the lines of a batch of one hour into `request`, those that do not count into `unreadable`."""
    if not _read_at_once(connection, batch, file):
        judge(connection, batch)
        connection.execute(sql("take_lines"))


def _read_at_once(connection: DuckDBPyConnection, batch: Sequence[FetchedObject], file: Scratch) -> bool:
    """Whether every line counted; nothing was brought where one did not."""
    import duckdb

    texts = [fetched.text for fetched in batch]
    file.write(texts)
    try:
        with transaction(connection):
            brought = connection.execute(
                sql("read_objects"), {"path": file.path, "hour": batch[0].hour}
            ).fetchone()
            if brought is None or brought[0] != sum(text.count(b"\n") for text in texts):
                raise _OddLinesError
    except (_OddLinesError, duckdb.InvalidInputException, duckdb.ConversionException):
        return False
    return True


class _OddLinesError(Exception):
    """A batch has empty lines, or lines with more than one document."""


def judge(connection: DuckDBPyConnection, batch: Sequence[FetchedObject]) -> None:
    """Bring every line of a batch of one hour into `judged`, with what is wrong with it."""
    import pyarrow as pa

    connection.register("batch", pa.Table.from_batches([_lines(part) for part in _parts(batch)]))
    try:
        connection.execute(sql("read_lines"))
    finally:
        connection.unregister("batch")


def _parts(batch: Sequence[FetchedObject]) -> Iterator[list[FetchedObject]]:
    """The batch in parts that DuckDB's threads share."""
    part: list[FetchedObject] = []
    part_bytes = 0
    for fetched in batch:
        part.append(fetched)
        part_bytes += len(fetched.text)
        if part_bytes >= _PART_BYTES:
            yield part
            part, part_bytes = [], 0
    if part:
        yield part


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

"""Reading through Xet, the Hub's content-addressed store, with hf_xet's download streams.

Belongs here: one range of one file into a buffer, the short-lived token for it, and when to give Xet up.
Does not: finding out that a file lies there (hub.py), or trying again (transfer/transfer.py).

A range costs at most the chunks at its ends, of some 64 KiB each: ranges of 8 MiB read 1.017 times the size,
ranges of 64 MiB 1.003 times, but eight at a time held 508 MiB instead of 166 (hf_xet 1.8). So they are 8 MiB.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from slipway.artifacts.errors import ArtifactError
from slipway.artifacts.source import Count, SourceFile
from slipway.artifacts.transfer.retry import TransientError

_log = logging.getLogger(__name__)

# A token that is about to expire is not worth starting a range with.
_MARGIN_S = 60.0
_RANGE_BYTES = 8 * 2**20
_MOST_FAILURES = 3
_MOST_FILES = 3
_SETTINGS = {
    # Trying again is ours, who can be stopped meanwhile; hf_xet would do so for minutes.
    "client.retry_max_attempts": 1,
    "client.connect_timeout": timedelta(seconds=10),
    "client.read_timeout": timedelta(seconds=30),
    "telemetry.enabled": False,
}


@dataclass(frozen=True)
class XetAccess:
    """Where the store is, and a token for it. `ends_at_s`: seconds since 1970, as the hub counts."""

    endpoint: str
    token: str = field(repr=False)
    ends_at_s: int


class XetReader:
    """Reads files of one snapshot. Safe to share between threads.

    `ask` gets access from the hub. A file that fails with a few connections in turn is no longer `usable`,
    and after a few such files none is; the log says so once. The hub serves the same files without Xet.
    """

    def __init__(self, name: str, ask: Callable[[], XetAccess]) -> None:
        self._name = name
        self._ask = ask
        self._lock = threading.Lock()
        self._session: Any = None
        self._group: Any = None
        self._ends_at_s = 0
        self._generation = 0
        self._failed: dict[str, set[int]] = {}

    def usable(self, path: str) -> bool:
        """False when a file should be read without Xet from now on."""
        with self._lock:
            given_up = [known for known, failed in self._failed.items() if len(failed) >= _MOST_FAILURES]
            return path not in given_up and len(given_up) < _MOST_FILES

    def read_into(
        self, xet_hash: str, file: SourceFile, offset: int, buffer: memoryview, count: Count
    ) -> None:
        """Fill the buffer with the file's bytes from `offset` on.

        Raises TransientError for whatever hf_xet reports: the caller tries again, and asks `usable` how. An
        ArtifactError of asking the hub for access is raised as it is.
        """
        from hf_xet import XetFileInfo  # type: ignore[import-untyped]

        if not len(buffer):
            return
        at, generation = 0, self._generation
        try:
            group, generation = self._current_group()
            place = XetFileInfo(xet_hash, file.size_bytes)
            for piece in _pieces(group, place, offset, offset + len(buffer)):
                buffer[at : at + len(piece)] = piece  # a piece that does not fit raises ValueError
                at += len(piece)
                count(len(piece))
            if at < len(buffer):
                raise OSError(f"{at} of {len(buffer)} bytes came")
        except BaseException as error:
            count(-at)  # this attempt's bytes will come again
            if isinstance(error, ArtifactError) or not isinstance(error, Exception):
                raise
            self._failure(file.path, generation, error)
            raise TransientError(f"{self._name} file {file.path}: Xet: {_words_of(error)}.") from error

    def _current_group(self) -> tuple[Any, int]:
        """Connections with a token that still lives, and how many came before them."""
        from hf_xet import XetConfig, XetSession

        with self._lock:
            if self._group is None or time.time() > self._ends_at_s - _MARGIN_S:
                access = self._ask()
                if self._session is None:
                    self._session = XetSession(config=XetConfig().with_config(_SETTINGS))
                self._group = self._session.new_download_stream_group(
                    endpoint=access.endpoint, token=access.token, token_expiry_unix_secs=access.ends_at_s
                )
                self._ends_at_s = access.ends_at_s
            return self._group, self._generation

    def _failure(self, path: str, generation: int, error: Exception) -> None:
        """Count a failure once for a file and a connection, however many of its parts were under way."""
        with self._lock:
            if generation == self._generation:
                # Whatever it was, the next attempt starts with a fresh token.
                self._generation, self._group = generation + 1, None
            first = not any(len(failed) >= _MOST_FAILURES for failed in self._failed.values())
            failed = self._failed.setdefault(path, set())
            failed.add(generation)
            if first and len(failed) >= _MOST_FAILURES:
                _log.warning(
                    "%s file %s: Xet failed %d times, last with: %s. Such files are read from the hub "
                    "without it, by plain HTTP.",
                    self._name,
                    path,
                    len(failed),
                    _words_of(error),
                )


def _pieces(group: Any, place: Any, start: int, end: int) -> Iterator[bytes]:
    """The bytes from start to end, in order and in ranges that hf_xet may hold in memory at a time."""
    for at in range(start, end, _RANGE_BYTES):
        yield from group.download_stream(place, start=at, end=min(at + _RANGE_BYTES, end))


def _words_of(error: Exception) -> str:
    """What hf_xet says, on one line and without the query of a URL: it may hold a signature."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition("?")[0][:300].rstrip(".")

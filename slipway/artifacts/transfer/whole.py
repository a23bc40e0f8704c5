"""Files of servers that ignore Range: one stream per file, read on by whoever carries the next part.

Belongs here: keeping that stream, and whose turn it is.
Does not: asking for it, or judging the answer (ranged.py).

Such a server sends the file from its first byte for every part. Its parts are asked for in order, so one
answer serves them all; what was not asked for (parts of an earlier run) is read and dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

# How long a part waits for those before it, which are on their way, before their bytes are skipped.
_TURN_S = 2.0
_SKIPPED_BYTES = 2**18

Read = Callable[[Any, memoryview], None]


class WholeStream:
    """The answer that holds one file, and how far it was read. Safe to share between threads."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._reply: Any = None
        self._at = 0

    def read_into(
        self, offset: int, buffer: memoryview, ask: Callable[[], Any], read: Read, skip: Read
    ) -> None:
        """Fill the buffer with the bytes from `offset` on; `ask` gets an answer that begins at byte 0.

        `read` fills a buffer from an answer, `skip` one that nobody looks at. Whatever they raise ends the
        stream, and the next part asks anew.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._reply is None or self._at >= offset, timeout=_TURN_S)
            try:
                if self._reply is None or self._at > offset:
                    self.close()
                    self._reply, self._at = ask(), 0
                self._skip(offset - self._at, skip)
                read(self._reply, buffer)
                self._at = offset + len(buffer)
            except BaseException:
                self.close()
                raise
            finally:
                self._turn.notify_all()

    def _skip(self, count_bytes: int, skip: Read) -> None:
        dropped = memoryview(bytearray(min(count_bytes, _SKIPPED_BYTES)))
        while count_bytes:
            piece = dropped[: min(count_bytes, len(dropped))]
            skip(self._reply, piece)
            count_bytes -= len(piece)
            self._at += len(piece)

    def close(self) -> None:
        """Drop the answer."""
        if self._reply is not None:
            self._reply.close()
        self._reply, self._at = None, 0

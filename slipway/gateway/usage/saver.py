"""Writes what open streams have used so far into the spool, so that a killed gateway loses seconds of them.

Belongs here: when which stream is written. Does not: where to (spool.py), what it used (call.py).

One timer for all streams of a replica, in its event loop: nothing is done for a token that is passed on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from slipway.gateway.telemetry import log
from slipway.gateway.usage.call import Call
from slipway.gateway.usage.spool import Room, SpoolError

SAVE_S = 1.0
# Streams are looked at in turns: all at once would be a pause for every one of them.
_TICK_S = 0.1


@dataclass(slots=True)
class _Open:
    call: Call
    due: float
    saved: float | None = None  # the last token of what is written


class Saver:
    """The open streams of one replica."""

    def __init__(self, replica: str) -> None:
        self._replica = replica
        self._open: dict[Room, _Open] = {}  # the longest written first
        self._timer: asyncio.TimerHandle | None = None

    def add(self, room: Room, call: Call) -> None:
        """From now on this stream is looked at. Call it in the event loop."""
        loop = asyncio.get_running_loop()
        self._open[room] = _Open(call, loop.time() + SAVE_S)
        if self._timer is None:
            self._timer = loop.call_later(_TICK_S, self._tick, loop)

    def remove(self, room: Room) -> None:
        """No longer; harmless twice."""
        self._open.pop(room, None)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(_TICK_S, self._tick, loop) if self._open else None
        now = loop.time()
        while self._open:
            room, stream = next(iter(self._open.items()))
            if stream.due > now:
                return
            del self._open[room]
            stream.due = now + SAVE_S
            self._open[room] = stream
            self._save(room, stream)

    def _save(self, room: Room, stream: _Open) -> None:
        """A client that has got nothing owes nothing: what it has not seen is not written."""
        call = stream.call
        if call.last_token is None or call.last_token == stream.saved:
            return
        stream.saved = call.last_token
        try:
            room.save(call.event_if_killed(self._replica).encode())
        except SpoolError as error:
            log.write("error", "open stream not saved", request_id=call.request_id, error=str(error))

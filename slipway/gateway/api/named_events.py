"""Streams of named events, each with a JSON object: what the Responses and the Messages API have in common.

Belongs here: cutting, names, errors, and holding back the event that ends an answer.
Does not: what is in an event (responses.py, messages.py), streams without names (stream.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from slipway.gateway.api import events
from slipway.gateway.api.answer_json import decoded, encoded, error_type
from slipway.gateway.api.answers import Wants
from slipway.gateway.api.events import EventSplitter
from slipway.gateway.api.usage_count import UsageCount

_DONE = b"[DONE]"


class NamedEventEditor(ABC):
    """An `Editor` of one such stream. Its end, an error too, is `last`: it waits for the record."""

    __slots__ = ("_model", "_split", "_wants", "done", "error", "finished", "last", "tokens", "usage")

    def __init__(self, model: str, wants: Wants, usage: UsageCount | None = None) -> None:
        self._model = model
        self._wants = wants
        self._split = EventSplitter()
        self.usage = usage or UsageCount()
        self.tokens = False
        self.done = False
        self.finished = False
        self.error: str | None = None
        self.last = b""

    @abstractmethod
    def _look(self, kind: object, chunk: dict[str, Any]) -> bool:
        """Take note of an event's object; returns whether it was changed for the client.

        Sets `done` where it is the last one of an answer.
        """

    def feed(self, data: bytes) -> bytes:
        """See `Editor`."""
        self.tokens = False
        return b"".join([self._edit(event) for event in self._split.feed(data) if not self.done])

    def end(self) -> bytes:
        """See `Editor`."""
        self.tokens = False
        rest = b"" if self.done else self._split.end()
        return self._edit(rest) if rest.startswith(b":") or events.is_whole(rest, decoded) else b""

    def _edit(self, event: bytes) -> bytes:
        event = event.strip(b"\n")
        if not event:
            return b""
        named = events.parse(event)
        whole = event + b"\n\n"
        chunk = None if named.data is None else decoded(named.data)
        if isinstance(chunk, dict):
            error = error_type(chunk, named)
            if error is not None:
                self.error, self.done = error, True
                if not named.kind:  # SDKs go by the name
                    named = events.Event(b"error", named.data, (b"event: error", *named.others))
                    whole = b"event: error\n" + whole
            if self._look(chunk.get("type"), chunk):
                whole = named.with_data(encoded(chunk)) + b"\n\n"
        elif named.kind == b"error":
            self.error, self.done = "upstream_error", True
        elif named.data is not None and named.data.strip() == _DONE:
            self.done = True
        if self.done:
            self.last = whole
            return b""
        return whole

    def _name(self, holder: dict[str, Any]) -> bool:
        """Have it tell the model's name as the client knows it; returns whether that is another."""
        if holder.get("model", self._model) == self._model:
            return False
        holder["model"] = self._model
        return True

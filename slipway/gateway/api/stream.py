"""Streamed and whole answers of engines: looked into, corrected, and passed on at once.

Belongs here: the model's name, errors and usage in an answer, and what of these the client is shown.
Does not: cutting bytes into events (events.py), which of several reports counts (usage_count.py), sockets and
clocks (slipway.gateway.request.forward).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slipway.gateway.api import events
from slipway.gateway.api.answer_json import decoded, document_of, encoded, error_type, named
from slipway.gateway.api.answers import Answers, Wants, Whole
from slipway.gateway.api.events import EventSplitter
from slipway.gateway.api.usage_count import UsageCount

_DONE = b"[DONE]"
_LAST = b"data: [DONE]\n\n"
_PREFIX = b"data:"
_LONGEST_DONE = 16
_NONE: tuple[int, ...] = ()
_NO_TEXT = frozenset({"role", "content"})


class StreamEditor:
    """Turns an engine's events into the client's: its model name, and counts only if it asked for them.

    After `feed`: `tokens` tells whether the bytes returned carry text, `done` that the engine said [DONE],
    `error` the type of the engine's error in the stream, `finished` that a choice came to its end.
    """

    __slots__ = ("_last_usage", "_model", "_split", "_wants", "done", "error", "finished", "tokens", "usage")

    def __init__(self, model: str, wants: Wants, usage: UsageCount | None = None) -> None:
        self._model = model
        self._wants = wants
        self._split = EventSplitter()
        self._last_usage = b""  # a report behind the choices: there may be another, and one is shown
        self.usage = usage or UsageCount()
        self.tokens = False
        self.done = False
        self.finished = False
        self.error: str | None = None

    @property
    def last(self) -> bytes:
        """[DONE]."""
        return _LAST

    def feed(self, data: bytes) -> bytes:
        """Return what to forward now; [DONE] itself is left to the caller, who records usage first.

        Raises AnswerError.
        """
        self.tokens = False
        split = self._split
        if split.takes_whole(data) and data.startswith(_PREFIX) and not self.done:
            return self._edit_data(data, None, data[len(_PREFIX) : -2])
        edited = []
        for event in split.feed(data):
            if self.done:
                break
            if event.startswith(_PREFIX) and b"\n" not in event:
                edited.append(self._edit_data(event + b"\n\n", None, event[len(_PREFIX) :]))
            else:
                edited.append(self._edit(event))
        return b"".join(edited)

    def end(self) -> bytes:
        """The engine has closed the stream: what is left to forward. Raises AnswerError."""
        self.tokens = False
        rest = b"" if self.done else self._split.end()
        edited = b""
        if rest and (rest.startswith(b":") or events.is_whole(rest, decoded)):
            edited = self._edit(rest)
        return edited + self._shown_usage()

    def _edit(self, event: bytes) -> bytes:
        if event.startswith(_PREFIX) and b"\n" not in event:
            return self._edit_data(event + b"\n\n", None, event[len(_PREFIX) :])
        event = event.strip(b"\n")
        named = events.parse(event)
        if named.kind == b"error":
            self.error = "upstream_error"
        if named.data is None:  # a comment (ping), or nothing
            return event + b"\n\n" if event else b""
        return self._edit_data(event + b"\n\n", named, named.data)

    def _edit_data(self, event: bytes, named: events.Event | None, data: bytes) -> bytes:
        if len(data) < _LONGEST_DONE and data.strip() == _DONE:
            self.done = True
            return self._shown_usage()
        chunk = decoded(data)
        if not isinstance(chunk, dict):
            return event
        return self._edit_chunk(event, named, chunk)

    def _edit_chunk(self, event: bytes, named: events.Event | None, chunk: dict[str, Any]) -> bytes:
        """The event for the client: the engine's own bytes, where nothing in them is to be another."""
        error = error_type(chunk, named)
        if error is not None:
            self.error = error
        choices, wants = chunk.get("choices"), self._wants
        indices, ended = self._look_at(choices) if choices and isinstance(choices, list) else (_NONE, False)
        is_edited = is_report = False
        if "usage" in chunk or "timings" in chunk:
            self._count(chunk, indices)
            if not (wants.timings or ended or not indices) and chunk.pop("timings", None) is not None:
                is_edited = True
            if "usage" in chunk:
                is_report = not indices and chunk["usage"] is not None and error is None
                if not (wants.usage and (ended or not indices or wants.running)):
                    if is_report:
                        return b""
                    del chunk["usage"]
                    is_edited = True
        if chunk.get("model", self._model) != self._model:
            chunk["model"] = self._model
            is_edited = True
        if is_edited:
            data = encoded(chunk)
            event = (b"data: " + data if named is None else named.with_data(data)) + b"\n\n"
        if is_report and not wants.running:
            self._last_usage = event
            return b""
        return event

    def _count(self, chunk: dict[str, Any], indices: Sequence[int]) -> None:
        usage, timings = chunk.get("usage"), chunk.get("timings")
        if usage and isinstance(usage, dict):
            self.usage.report(usage, indices)
        elif timings and indices and isinstance(timings, dict):
            self.usage.report_timings(timings, indices)

    def _look_at(self, choices: list[Any]) -> tuple[list[int], bool]:
        """Count text in the choices of a chunk; return their indices and whether one ends with it."""
        indices, ended = [], False
        for choice in choices:
            if not isinstance(choice, dict):
                continue
            index = choice.get("index")
            if type(index) is not int:
                index = 0
            indices.append(index)
            if _has_text(choice):
                self.tokens = True
                self.usage.piece(index)
            if choice.get("finish_reason") is not None:
                ended = self.finished = True
                self.usage.ended(index)
        return indices, ended

    def _shown_usage(self) -> bytes:
        shown, self._last_usage = self._last_usage, b""
        return shown


def edit_whole(body: bytes, model: str) -> Whole | None:
    """The same for an answer in one piece; None when it is not a JSON object. Raises AnswerError."""
    document = document_of(body, answer="choices")
    if document is None:
        return None
    usage = UsageCount()
    if isinstance(document.get("usage"), dict):
        usage.report(document["usage"], [])
    if not usage.is_said:
        usage.text_bytes = _text_bytes(document.get("choices"), most=len(body))
    return Whole(named(body, document, model), usage)


def _text_bytes(choices: Any, *, most: int) -> int:
    """Bytes of all that the answers say: no answer has more tokens."""
    said: list[Any] = []
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict):
            message = choice.get("message")
            said.append(choice.get("text"))
            said += (
                [value for name, value in message.items() if name != "role"]
                if isinstance(message, dict)
                else []
            )
    try:
        sizes = [
            len(value.encode(errors="surrogatepass") if isinstance(value, str) else repr(value))
            for value in said
            if value
        ]
    except RecursionError:
        return most
    return min(sum(sizes), most)


def _has_text(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    if delta and isinstance(delta, dict):
        if delta.get("content"):
            return True
        for name, value in delta.items():  # noqa: SIM110 - a generator for each token costs as much as all else
            if value and name not in _NO_TEXT:
                return True
        return False
    return bool(choice.get("text"))


def ask_usage(body: dict[str, Any]) -> None:
    """Have an engine say what was used in every stream; what the client said decides what it is shown.

    The second option is vLLM's: usage as it goes, for clients that hang up. Others ignore it.
    """
    if body.get("stream") is True:
        options = body.get("stream_options") or {}
        body["stream_options"] = {**options, "include_usage": True, "continuous_usage_stats": True}


COMPLETIONS = Answers(edit_whole, StreamEditor, ask_usage)

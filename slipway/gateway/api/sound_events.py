"""Streams of events about sound: text heard in one, or sound spoken, as OpenAI writes them; vLLM's, too.

Belongs here: which event is a first token, which one is the last, and what it says was used.
Does not: chunks with choices, as vLLM streams transcripts (stream.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.gateway.api import events
from slipway.gateway.api.answer_json import decoded
from slipway.gateway.api.answers import Wants
from slipway.gateway.api.events import EventSplitter
from slipway.gateway.api.sound import MOST_MS
from slipway.gateway.api.stream import StreamEditor
from slipway.gateway.api.usage_count import UsageCount

# By the type of an event: the field that holds a part of the answer.
_PARTS = {"transcript.text.delta": "delta", "transcript.text.segment": "text", "speech.audio.delta": "audio"}
_ENDS = frozenset({"transcript.text.done", "speech.audio.done"})


def heard(usage: object) -> dict[str, int]:
    """How much sound an engine says it has heard: OpenAI's `usage` of the kind `duration`."""
    return of_seconds(usage.get("seconds") if isinstance(usage, dict) else None)


def of_seconds(seconds: object) -> dict[str, int]:
    """So much sound heard, as a number or, as vLLM writes it, a text; nothing for what is neither.

    An engine that says it was longer than any sound is has not measured.
    """
    if isinstance(seconds, str):
        try:
            seconds = float(seconds)
        except ValueError:
            return {}
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds <= MOST_MS / 1000
    ):
        return {}
    return {"input_audio_ms": round(seconds * 1000)}


def note_tokens(usage: object, count: UsageCount) -> None:
    """Take note of OpenAI's `usage` of the kind `tokens`."""
    if isinstance(usage, Mapping) and "input_tokens" in usage:
        tokens = {"prompt_tokens": usage["input_tokens"], "completion_tokens": usage.get("output_tokens")}
        details = usage.get("input_token_details")
        count.report({**tokens, "prompt_tokens_details": details}, [])


class SoundEditor:
    """Edits a stream about sound for the stage that passes it on (slipway.gateway.api.answers.Editor).

    The event with which an answer is complete is held back until the request is recorded.
    """

    def __init__(self, model: str, wants: Wants, usage: UsageCount) -> None:
        self._chunks = StreamEditor(model, wants, usage)
        self._split = EventSplitter()
        self._last = b""
        self.usage = usage
        self.units: dict[str, int] = {}  # that the engine spoke of
        self.tokens = False
        self._is_finished = False

    @property
    def done(self) -> bool:
        """Whether the engine said [DONE]."""
        return self._chunks.done

    @property
    def finished(self) -> bool:
        """Whether the answer is complete."""
        return self._is_finished or self._chunks.finished

    @property
    def error(self) -> str | None:
        """The type of the engine's error in it."""
        return self._chunks.error

    @property
    def last(self) -> bytes:
        """The event that ends the answer, and [DONE] where the engine said so, or failed."""
        is_told = self.done or self.error is not None
        return self._last + (self._chunks.last if is_told else b"")

    def feed(self, data: bytes) -> bytes:
        """Return what to forward now. Raises AnswerError."""
        self.tokens = False
        return b"".join([self._edited(event) for event in self._split.feed(data)])

    def end(self) -> bytes:
        """The engine has closed the stream: what is left to forward. Raises AnswerError."""
        self.tokens = False
        rest = self._split.end()
        whole = self._edited(rest) if rest.startswith(b":") or events.is_whole(rest, decoded) else b""
        return whole + self._chunks.end()

    def _edited(self, event: bytes) -> bytes:
        if self.done:
            return b""
        data = events.parse(event).data
        said = decoded(data) if data is not None and b'"type"' in data else None
        kind = said.get("type") if isinstance(said, dict) else None
        if not isinstance(said, dict) or not isinstance(kind, str) or kind not in _PARTS.keys() | _ENDS:
            edited = self._chunks.feed(event + b"\n\n")
            self.tokens = self.tokens or self._chunks.tokens
            return edited
        if kind in _PARTS:
            self.tokens = self.tokens or bool(said.get(_PARTS[kind]))
            return event + b"\n\n"
        self._is_finished = True
        usage = said.get("usage")
        note_tokens(usage, self.usage)
        self.units = heard(usage) or self.units
        held, self._last = self._last, event + b"\n\n"
        return held

"""Server-sent events of a streamed answer: split, looked into, corrected, and passed on at once.

Belongs here: the parser, the model name and usage in chunks, and the running count of tokens.
Does not: sockets and clocks (slipway.gateway.request.forward).

What engines send, seen: llama.cpp puts a chat's usage in a chunk of its own with `choices: []` (one for
each of `n` answers) and a completion's usage in the last chunk that has choices; vLLM sends one chunk with
`choices: []`, and, where `continuous_usage_stats` is on, the usage so far in every chunk; llama.cpp has its
counts so far in `timings` where a request has `timings_per_token`. Both let a request that the client gave
up be counted exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

DONE = b"[DONE]"
_PREFIX = b"data:"


class EventSplitter:
    """Cuts bytes as they arrive into whole events, each without the empty line that ends it."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that these bytes complete."""
        if self._rest:
            data = self._rest + data
        if b"\r" in data:
            # The standard allows CRLF; inside JSON a carriage return is always escaped.
            data = data.replace(b"\r\n", b"\n")
        *events, self._rest = data.split(b"\n\n")
        return events


class UsageCount:
    """Tokens of one answer as its engine reports them, once or as it goes."""

    __slots__ = ("_final", "_running", "_several_prompts", "streamed")

    def __init__(self, *, several_prompts: bool = False) -> None:
        self._several_prompts = several_prompts
        self._running: dict[int, tuple[int, int, int]] = {}
        self._final: list[tuple[int, int, int]] = []
        self.streamed = 0  # chunks with text, which is tokens for engines that send one per chunk

    def report(self, usage: dict[str, Any], choices: list[Any] | None) -> None:
        """Take note of a usage object; with choices it is the count so far of that choice."""
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        self._note(usage.get("prompt_tokens"), cached, usage.get("completion_tokens"), choices)

    def report_timings(self, timings: dict[str, Any], choices: list[Any] | None) -> None:
        """Take note of llama.cpp's own counts so far."""
        cached = timings.get("cache_n") or 0
        self._note(cached + (timings.get("prompt_n") or 0), cached, timings.get("predicted_n"), choices)

    def totals(self) -> tuple[int, int, int]:
        """(input incl. cached, cached, output) tokens as far as they are known."""
        counts = self._final or list(self._running.values())
        output = sum(output for _, _, output in counts)
        if not self._final:
            output = max(output, self.streamed)
        if self._several_prompts:
            return sum(prompt for prompt, _, _ in counts), sum(cached for _, cached, _ in counts), output
        # Several answers to one prompt share it.
        prompt, cached = max(((prompt, cached) for prompt, cached, _ in counts), default=(0, 0))
        return prompt, cached, output

    def _note(self, prompt: Any, cached: Any, output: Any, choices: list[Any] | None) -> None:
        prompt, output = max(0, int(prompt or 0)), max(0, int(output or 0))
        counts = (prompt, min(prompt, max(0, int(cached or 0))), output)
        if choices:
            self._running[choices[0].get("index") or 0] = counts
        else:
            self._final.append(counts)


@dataclass(frozen=True, slots=True)
class Wants:
    """Which counts a client asked to see in a stream: the usage at its end, llama.cpp's timings per token."""

    usage: bool
    timings: bool


class StreamEditor:
    """Turns an engine's events into the client's: its model name, and counts only if it asked for them.

    After `feed`: `tokens` tells whether the bytes returned carry text, `done` that the engine said [DONE],
    `error` the engine's error in the stream, `finished` that a choice came to its end.
    """

    __slots__ = ("_model", "_split", "_wants", "done", "error", "finished", "tokens", "usage")

    def __init__(self, model: str, wants: Wants, *, several_prompts: bool = False) -> None:
        self._model = model
        self._wants = wants
        self._split = EventSplitter()
        self.usage = UsageCount(several_prompts=several_prompts)
        self.tokens = False
        self.done = False
        self.finished = False
        self.error: dict[str, Any] | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what to forward now; [DONE] itself is left to the caller, who records usage first."""
        self.tokens = False
        return b"".join([self._edit(event) for event in self._split.feed(data)])

    def _edit(self, event: bytes) -> bytes:
        if not event.startswith(_PREFIX):
            return event + b"\n\n" if event else b""  # a comment (ping) or a named event: as it is
        payload = event[len(_PREFIX) :].strip()
        if payload == DONE:
            self.done = True
            return b""
        try:
            chunk = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return event + b"\n\n"
        if not isinstance(chunk, dict):
            return event + b"\n\n"
        return self._edit_chunk(event, chunk)

    def _edit_chunk(self, event: bytes, chunk: dict[str, Any]) -> bytes:
        """The event for the client: the engine's own bytes, where nothing in them is to be another."""
        choices = chunk.get("choices")
        usage = chunk.get("usage")
        timings = chunk.get("timings")
        if usage:
            self.usage.report(usage, choices)
        elif timings and choices:
            self.usage.report_timings(timings, choices)
        if "error" in chunk and isinstance(chunk["error"], dict):
            self.error = chunk["error"]
        ended = self._look_at(choices) if choices else False
        is_edited = False
        if timings and not (ended or not choices or self._wants.timings):
            del chunk["timings"]
            is_edited = True
        if "usage" in chunk and not (self._wants.usage and (ended or not choices)):
            if not choices:
                return b""
            del chunk["usage"]
            is_edited = True
        if chunk.get("model", self._model) != self._model:
            chunk["model"] = self._model
            is_edited = True
        return (b"data: " + orjson.dumps(chunk) if is_edited else event) + b"\n\n"

    def _look_at(self, choices: list[dict[str, Any]]) -> bool:
        """Count text in the choices of a chunk; return whether one of them ends with it."""
        ended = False
        for choice in choices:
            if _has_text(choice):
                self.tokens = True
                self.usage.streamed += 1
            ended = ended or choice.get("finish_reason") is not None
        self.finished = self.finished or ended
        return ended


def edit_whole(body: bytes, model: str) -> tuple[bytes, UsageCount] | None:
    """The same for an answer in one piece; None when it is not a JSON object.

    The engine's own bytes, where it calls the model as the client does.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    usage = UsageCount()
    if isinstance(document.get("usage"), dict):
        usage.report(document["usage"], None)
    if document.get("model", model) == model:
        return body, usage
    document["model"] = model
    return orjson.dumps(document), usage


def _has_text(choice: dict[str, Any]) -> bool:
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    if not delta:
        return False
    if delta.get("content"):
        return True
    return any(value for name, value in delta.items() if name not in {"role", "content"})

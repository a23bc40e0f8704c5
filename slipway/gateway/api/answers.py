"""What an operation's answers are, whole and streamed: where the model's name, usage and errors are in them.

Belongs here: what every kind of answer offers to the stage that passes it on.
Does not: the kinds (stream.py and its neighbours), the table of operations (operations.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from slipway.gateway.api.usage_count import UsageCount


@dataclass(frozen=True, slots=True)
class Wants:
    """Which counts a client asked to see in a stream.

    The usage at its end, that so far in each chunk (vLLM's `continuous_usage_stats`), llama.cpp's timings.
    """

    usage: bool
    timings: bool
    running: bool = False

    @classmethod
    def of(cls, body: dict[str, Any]) -> Wants:
        """As the body of a request says."""
        options = body.get("stream_options")
        if not isinstance(options, dict):
            options = {}
        usage = options.get("include_usage") is True
        running = usage and options.get("continuous_usage_stats") is True
        return cls(usage, body.get("timings_per_token") is True, running)


@dataclass(slots=True)
class Whole:
    """An answer in one piece, as the client gets it, and what its engine said was used.

    `units` holds the fields of Units that it spoke of; of others, what the request asks for counts.
    """

    body: bytes
    usage: UsageCount
    units: Mapping[str, int] | None = None


class Editor(Protocol):
    """Turns an engine's stream into the client's, piece by piece.

    After `feed`: `tokens` tells whether the bytes returned carry part of an answer, `done` that the stream
    has come to its end, `finished` that an answer in it has, `error` the type of the engine's error in it.
    `usage` is what the engine said so far.
    """

    usage: UsageCount
    tokens: bool

    @property
    def done(self) -> bool:
        """See above."""
        ...

    @property
    def finished(self) -> bool:
        """See above."""
        ...

    @property
    def error(self) -> str | None:
        """See above."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Return what to forward now. Raises AnswerError."""
        ...

    def end(self) -> bytes:
        """The engine has closed the stream: what is left to forward. Raises AnswerError."""
        ...

    @property
    def last(self) -> bytes:
        """The end of the stream, which is held back until the request is recorded."""
        ...


def _never(_: dict[str, Any]) -> bool:
    return False


def _ask_nothing(_: dict[str, Any]) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Answers:
    """One kind of answer.

    `whole` edits one in one piece for a client that calls the model so; None when it is no answer. It raises
    AnswerError for an error with status 200. `editor` is for streams of events; None where there are none.
    `ask` writes into a request what makes its engine say what was used. `is_raw` tells whether what a request
    asks for is no JSON, such as a sound.
    """

    whole: Callable[[bytes, str], Whole | None]
    editor: Callable[[str, Wants, UsageCount], Editor] | None = None
    ask: Callable[[dict[str, Any]], None] = _ask_nothing
    is_raw: Callable[[dict[str, Any]], bool] = _never

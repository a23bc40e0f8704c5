"""The operations that the gateway passes on. Adding one is a row in `_TABLE`.

Belongs here: paths, the tasks that a model may have, the shape of a body and its checks, what it may cost at
most, what its answers are like, in what it is billed, whose API it is.
Does not: what is done with a request (slipway.gateway.request).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from slipway.catalog.fields import Task
from slipway.gateway.api import (
    answer_json,
    apis,
    bodies,
    messages,
    pooling,
    prompts,
    responses,
    speech,
    stream,
    transcripts,
)
from slipway.gateway.api.answers import Answers, Wants
from slipway.gateway.api.apis import Api
from slipway.gateway.api.bodies import Body
from slipway.records.usage import NO_UNITS, Units

# How a request's body is read (slipway.gateway.request.parse) and written for the engine (forward.py).
Shape = Literal["json", "multipart"]
# In what an operation is billed, by the fields of a usage event; "nothing" is recorded with its time alone.
Unit = Literal[
    "tokens", "input_audio_ms", "output_audio_ms", "characters", "documents", "searches", "nothing"
]


def _no_units(_: Body) -> Units:
    return NO_UNITS


def _is_streamed(body: Body) -> bool:
    return body.get("stream") is True


@dataclass(frozen=True, slots=True)
class Operation:
    """One POST operation. All its `paths` are answered alike; the first is asked of an engine.

    Paths are below the gateway's root, and below that of an engine, whose base URL ends in /v1. `check`
    raises ApiError for a field that is not what it must be. What a request may use at most: `reads` says it
    in tokens, `units` in all else; what its answer says was used (`answers`) replaces that. `is_streamed`
    tells whether an answer comes in pieces, `wants` which counts a client asked to see in it.
    """

    paths: tuple[str, ...]
    tasks: frozenset[Task]
    check: Callable[[Body], None]
    reads: prompts.Reads
    answers: Answers
    unit: Unit = "tokens"
    units: Callable[[Body], Units] = _no_units
    shape: Shape = "json"
    api: Api = apis.OPENAI
    # Whether every engine of its tasks has it. What one lacks is refused as what its model does not do.
    is_everywhere: bool = False
    is_streamed: Callable[[Body], bool] = _is_streamed
    wants: Callable[[Body], Wants] = Wants.of

    @property
    def at_engine(self) -> str:
        """The path below an engine's root."""
        return self.paths[0]


def _anything(_: Body) -> None:
    """What only the engine looks into."""


_TEXT: frozenset[Task] = frozenset({"text-generation"})
_RANKS: frozenset[Task] = frozenset({"rerank"})
_READS: frozenset[Task] = frozenset({"text-generation", "embedding", "rerank", "classification"})
_FREE = Answers(answer_json.edit_free)


def _heard(path: str) -> Operation:
    return Operation(
        (path,),
        frozenset({"speech-to-text"}),
        transcripts.check,
        transcripts.READS,
        transcripts.ANSWERS,
        unit="input_audio_ms",
        units=transcripts.units,
        shape="multipart",
        is_streamed=transcripts.is_streamed,
        wants=transcripts.wants,
    )


_SPOKEN = Operation(
    ("/v1/audio/speech",),
    frozenset({"text-to-speech"}),
    speech.check,
    speech.READS,
    speech.ANSWERS,
    unit="characters",
    units=speech.units,
    is_streamed=lambda _: True,  # each piece of a sound goes on as it comes
)

_TABLE = (
    Operation(
        ("/v1/chat/completions",),
        _TEXT,
        bodies.check_chat,
        prompts.CHAT,
        stream.COMPLETIONS,
        is_everywhere=True,
    ),
    Operation(
        ("/v1/completions",),
        _TEXT,
        bodies.check_completion,
        prompts.COMPLETION,
        stream.COMPLETIONS,
        is_everywhere=True,
    ),
    Operation(
        ("/v1/responses",),
        _TEXT,
        responses.check,
        responses.RESPONSES,
        responses.ANSWERS,
        api=apis.RESPONSES,
    ),
    Operation(
        ("/v1/messages",),
        _TEXT,
        messages.check,
        messages.MESSAGES,
        messages.ANSWERS,
        api=apis.ANTHROPIC,
    ),
    Operation(
        ("/v1/messages/count_tokens",),
        _TEXT,
        bodies.check_messages,
        prompts.NOTHING,
        _FREE,
        unit="nothing",
        api=apis.ANTHROPIC,
    ),
    Operation(
        ("/v1/embeddings",),
        frozenset({"embedding"}),
        pooling.check_input,
        pooling.INPUTS,
        pooling.ANSWERS,
        is_everywhere=True,
    ),
    Operation(
        ("/v1/rerank", "/rerank", "/v2/rerank"),
        _RANKS,
        pooling.check_rerank,
        pooling.RERANK,
        pooling.ANSWERS,
        unit="documents",
        units=pooling.units_of_rerank,
    ),
    Operation(
        ("/v1/score", "/score"),
        _RANKS,
        pooling.check_score,
        pooling.SCORE,
        pooling.ANSWERS,
        unit="documents",
        units=pooling.units_of_score,
    ),
    Operation(
        ("/classify", "/v1/classify"),
        frozenset({"classification"}),
        pooling.check_input,
        pooling.INPUTS,
        pooling.ANSWERS,
    ),
    Operation(("/tokenize", "/v1/tokenize"), _READS, _anything, prompts.NOTHING, _FREE, unit="nothing"),
    Operation(("/detokenize", "/v1/detokenize"), _READS, _anything, prompts.NOTHING, _FREE, unit="nothing"),
    _heard("/v1/audio/transcriptions"),
    _heard("/v1/audio/translations"),
    _SPOKEN,
)

OPERATIONS = {path: operation for operation in _TABLE for path in operation.paths}


def api_of(path: str) -> Api:
    """Whose errors a path answers with, also where nothing is there."""
    operation = OPERATIONS.get(path)
    if operation is not None:
        return operation.api
    return apis.ANTHROPIC if path.startswith("/v1/messages") else apis.OPENAI


# What tenants can ask for.
TASKS = frozenset(task for operation in _TABLE for task in operation.tasks)

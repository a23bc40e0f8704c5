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
from slipway.gateway.api import apis, bodies, prompts, stream
from slipway.gateway.api.answers import Answers
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


@dataclass(frozen=True, slots=True)
class Operation:
    """One POST operation. All its `paths` are answered alike; the first is asked of an engine.

    Paths are below the gateway's root, and below that of an engine, whose base URL ends in /v1. `check`
    raises ApiError for a field that is not what it must be. What a request may use at most: `reads` says it
    in tokens, `units` in all else; what its answer says was used (`answers`) replaces that.
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

    @property
    def at_engine(self) -> str:
        """The path below an engine's root."""
        return self.paths[0]


_TEXT: frozenset[Task] = frozenset({"text-generation"})

_TABLE = (
    Operation(("/v1/chat/completions",), _TEXT, bodies.check_chat, prompts.CHAT, stream.COMPLETIONS),
    Operation(("/v1/completions",), _TEXT, bodies.check_completion, prompts.COMPLETION, stream.COMPLETIONS),
)

OPERATIONS = {path: operation for operation in _TABLE for path in operation.paths}

# What tenants can ask for; `slipway check` warns of deployments with another task.
TASKS = frozenset(task for operation in _TABLE for task in operation.tasks)

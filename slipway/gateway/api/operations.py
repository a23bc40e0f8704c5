"""The OpenAI operations that the gateway passes on. Adding one is a line in `OPERATIONS`.

Belongs here: path, the task that a model must have, the checks of the body, what bounds its prompt.
Does not: what is done with a request (slipway.gateway.request).
Models of other tasks are rolled out, validated and in the route table; their paths are not passed on yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipway.catalog.fields import Task
from slipway.gateway.api import bodies, prompts


@dataclass(frozen=True, slots=True)
class Operation:
    """One POST path below /v1; it has the same path below an upstream's /v1."""

    path: str
    task: Task
    check: Callable[[bodies.Body], None]
    reads: prompts.Reads


OPERATIONS = {
    f"/v1{operation.path}": operation
    for operation in (
        Operation("/chat/completions", "text-generation", bodies.check_chat, prompts.CHAT),
        Operation("/completions", "text-generation", bodies.check_completion, prompts.COMPLETION),
    )
}

# What tenants can ask for; `slipway check` warns of deployments with another task.
TASKS = frozenset(operation.task for operation in OPERATIONS.values())

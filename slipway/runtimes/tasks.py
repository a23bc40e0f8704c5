"""Which tasks an engine does on a runtime that hosts it: what the engine can, and what is let through to it.

Belongs here: joining the two, and the refusal of everything else. Does not: what a server can
(slipway.catalog.servers), what a runtime lets through (its adapter), how an engine is told its task.
"""

from __future__ import annotations

from typing import get_args

from slipway.catalog.fields import Task
from slipway.catalog.servers import ALL_TASKS, SERVERS, ServerName
from slipway.runtimes import registry


def tasks(runtime: str, server: ServerName) -> frozenset[Task]:
    """What an engine does for clients on a runtime that hosts it."""
    return SERVERS[server].tasks & registry.adapter(runtime).tasks.get(server, ALL_TASKS)


def refusal(runtime: str, server: ServerName, task: Task) -> str | None:
    """Why a deployment cannot do its model's task, and where it could be done; None when it can."""
    able = tasks(runtime, server)
    if task in able or server not in registry.adapter(runtime).servers:
        return None
    done = ", ".join(each for each in get_args(Task) if each in able)
    elsewhere = ", ".join(
        f"{other} with {engine}"
        for other, adapter in registry.adapters().items()
        for engine in sorted(adapter.servers)
        if task in tasks(other, engine)
    )
    return f"its task is {task}, and {server} on {runtime} does {done}. Use {elsewhere}"

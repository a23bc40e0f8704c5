"""Who reads usage for an intake: this process, or the workers of a Ray cluster.

Belongs here: handing out tasks and bringing back what they answer, in order.
Does not: the tasks (intake.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class WorkersError(RuntimeError):
    """There are no workers; the message says why, and what to do."""

    retriable = True


class Workers(Protocol):
    """Does tasks, several at once where it can. What one raises is raised."""

    def each(self, function: Callable[[Task], Answer], tasks: Iterable[Task]) -> list[Answer]:
        """What the function answers for each task, in the order of the tasks."""
        ...


class HereAlone:
    """The process itself, one task after another: DuckDB uses the machine's cores itself."""

    def each(self, function: Callable[[Task], Answer], tasks: Iterable[Task]) -> list[Answer]:
        """As Workers says."""
        return [function(task) for task in tasks]


class OnRay:
    """Workers of a Ray cluster: the one at `host:6379`, or `auto`, that of the node which asks.

    Slipway has to be installed on its nodes. The store's keys go with each task, so that they stay out of the
    nodes' environment. The connection is made for the tasks, and ends with them where nobody had one before.
    """

    def __init__(self, address: str, *, cores_each: float = 2) -> None:
        self._address = address
        self._cores_each = cores_each

    def each(self, function: Callable[[Task], Answer], tasks: Iterable[Task]) -> list[Answer]:
        """As Workers says. Raises WorkersError when the cluster cannot be reached."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        connected = ray.is_initialized()
        try:
            ray.init(
                self._address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR
            )
            remote = ray.remote(function).options(num_cpus=self._cores_each)
            answers: list[Answer] = ray.get([remote.remote(task) for task in tasks])
            return answers
        except RayTaskError as error:
            raise (error.cause or error) from None
        except (RayError, OSError, RuntimeError) as error:
            raise WorkersError(
                f"SLIPWAY_INTAKE_RAY_ADDRESS = {self._address}: its workers cannot be used: {error}. See "
                "whether that cluster runs, or leave the variable out: this process reads then."
            ) from error
        finally:
            if not connected and ray.is_initialized():
                ray.shutdown()


def workers(address: str | None) -> Workers:
    """Those of a Ray cluster, or this process where none is named."""
    return OnRay(address) if address else HereAlone()

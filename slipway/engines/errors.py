"""Why an engine does not start.

Belongs here: the type that says that starting again is no use.
Does not: troubles that pass (the store is away, no memory is free just now).
"""

from __future__ import annotations


class EngineRefusedError(ValueError):
    """The engine cannot start with these arguments or files, however often it is tried.

    The name travels in Serve's status message: a rollout that sees it stops waiting
    (slipway.runtimes.ray.serve_status).
    """

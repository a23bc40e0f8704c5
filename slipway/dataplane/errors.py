"""What can go wrong between a spec and a cluster; one type per trouble that a caller treats differently.

Belongs here: the types. Does not: the messages, which are written where cause and remedy are known.
"""

from __future__ import annotations


class DataPlaneError(RuntimeError):
    """Anything that a data plane reports."""


class DataPlaneUnreachableError(DataPlaneError):
    """The cluster does not answer: the network's trouble, so trying again later helps."""

    retriable = True


class ConfigRefusedError(DataPlaneError):
    """The cluster refused the configuration as such: the same one will be refused again."""


class NotServingError(DataPlaneError):
    """A spec was applied and does not serve. `cause` is what the runtime says, `log` the last log lines."""

    def __init__(self, message: str, *, cause: str, log: tuple[str, ...] = ()) -> None:
        lines = "".join(f"\n  | {line}" for line in log)
        super().__init__(f"{message}: {cause}{lines}")
        self.cause = cause
        self.log = log


class OvertakenError(DataPlaneError):
    """Another spec was applied over the one that is waited for: this rollout gives way and undoes nothing."""


class RolloutFailedError(DataPlaneError):
    """A rollout did not reach its spec. The message says why and what serves now."""

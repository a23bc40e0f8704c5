"""The last stage: what became of a request goes to the spool, and what it was goes to the log.

Belongs here: the usage event of an ended request, and the status that an error is recorded with.
Does not: the event (slipway.gateway.usage.call), the spool (slipway.gateway.usage.spool).
"""

from __future__ import annotations

from slipway.gateway.api import errors
from slipway.gateway.api.errors import ApiError, UpstreamError
from slipway.gateway.telemetry import log
from slipway.gateway.usage.call import Call
from slipway.gateway.usage.spool import Spool, SpoolError
from slipway.records.usage import Status


class Recorder:
    """Writes the usage events of one replica."""

    def __init__(self, replica: str, spool: Spool) -> None:
        self._replica = replica
        self._spool = spool

    def record(self, call: Call) -> None:
        """Spool the event of an ended request. Raises ApiError when it cannot be spooled."""
        try:
            self._spool.append(call.event(self._replica).encode())
        except SpoolError as error:
            log.write("error", "usage not recorded", request_id=call.request_id, error=str(error))
            raise errors.not_recorded() from error


def status_of(error: ApiError) -> Status:
    """How a request that ended with this error is recorded."""
    if error.status == 429:
        return "limited"
    return "server_error" if error.status >= 500 else "client_error"


def log_request(call: Call) -> None:
    """The request's line in the log."""
    log.write("info", "request", **call.log_fields())


def log_upstream_failure(call: Call, error: UpstreamError) -> None:
    """What the operator should know of an engine that failed, and the client does not read."""
    log.write(
        "warning", "upstream failed", request_id=call.request_id,
        model=call.model, deployment=call.deployment, cause=error.cause,
    )  # fmt: skip

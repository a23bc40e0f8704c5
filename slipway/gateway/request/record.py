"""The last stage: what became of a request goes to the spool, and what it was goes to the log.

Belongs here: the usage event of an ended request, and the status that an error is recorded with.
Does not: the event (slipway.gateway.usage.call), the spool (slipway.gateway.usage.spool).
"""

from __future__ import annotations

import traceback

from slipway.gateway.api import errors
from slipway.gateway.api.errors import ApiError, UpstreamError
from slipway.gateway.telemetry import log
from slipway.gateway.usage.call import Call
from slipway.gateway.usage.pace import Paces
from slipway.gateway.usage.saver import Saver
from slipway.gateway.usage.spool import Room, Spool, SpoolError
from slipway.records.usage import Status


class Recorder:
    """Writes the usage events of one replica."""

    def __init__(self, replica: str, spool: Spool) -> None:
        self._replica = replica
        self._spool = spool
        self._saver = Saver(replica)
        self._paces = Paces()

    def open(self, call: Call) -> Room:
        """Room for the event of a request that is to be served. Raises ApiError when there is none.

        What comes of it is kept as it goes, if it is a stream. Close it, whatever becomes of the request.
        """
        try:
            room = self._spool.reserve()
        except SpoolError as error:
            raise _not_recorded(call, error) from error
        call.paces = self._paces
        if call.stream:
            self._saver.add(room, call)
        return room

    def record(self, call: Call, room: Room | None) -> None:
        """Spool the event of an ended request. Raises ApiError when it cannot be: not with room for it."""
        line = call.event(self._replica).encode()
        try:
            if room is None:
                self._spool.append(line)
            else:
                self._saver.remove(room)
                room.record(line)
        except SpoolError as error:
            raise _not_recorded(call, error) from error

    def close(self, room: Room) -> None:
        """The request is over; harmless after `record`."""
        self._saver.remove(room)
        room.let_go()


def _not_recorded(call: Call, error: SpoolError) -> ApiError:
    log.write("error", "usage not recorded", request_id=call.request_id, error=str(error))
    return errors.not_recorded()


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


def log_fault(call: Call, fault: BaseException) -> None:
    """What nobody expected, for whoever mends it."""
    log.write(
        "error", "a fault of the gateway", request_id=call.request_id, path=call.path,
        error=log.reason_of(fault), traceback="".join(traceback.format_exception(fault)),
    )  # fmt: skip

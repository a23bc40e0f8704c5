"""The third stage: every step of admission, in order; and what they granted, settled once.

Belongs here: running the steps of one request. Does not: a step (slipway.gateway.admission), the list of them
(slipway.gateway.server).
"""

from __future__ import annotations

from collections.abc import Sequence

from slipway.gateway.admission.step import Grant, Step
from slipway.gateway.request.parse import Asked
from slipway.gateway.request.reply import Reply
from slipway.gateway.telemetry import log
from slipway.gateway.usage.call import Call
from slipway.records.routes import Route


class Grants:
    """What the steps have granted one request so far, to be settled whatever becomes of it."""

    __slots__ = ("_unsettled",)

    def __init__(self) -> None:
        self._unsettled: list[Grant] = []

    async def admit(
        self, steps: Sequence[Step], asked: Asked, route: Route, call: Call, reply: Reply
    ) -> None:
        """Ask one step after the other. The first that refuses raises its ApiError."""
        for step in steps:
            grant = await step.admit(call, route, asked.body)
            if grant is not None:
                self._unsettled.append(grant)
                reply.headers += grant.headers

    async def settle(self, call: Call) -> None:
        """The request has ended: each grant becomes what was used of it, also when another one's does not.

        Harmless twice: one that was cancelled in it is settled by the next.
        """
        while self._unsettled:
            try:
                await self._unsettled[-1].settle(call)
            except Exception as fault:  # noqa: BLE001 - the other grants, the event and the answer come all the same
                log.write(
                    "error", "a grant is not settled", request_id=call.request_id,
                    error=type(fault).__name__, traceback=log.frames_of(fault),
                )  # fmt: skip
            self._unsettled.pop()

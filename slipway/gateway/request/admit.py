"""The third stage: every step of admission, in order; and what they granted, settled once.

Belongs here: running the steps of one request. Does not: a step (slipway.gateway.admission), the list of them
(slipway.gateway.server).
"""

from __future__ import annotations

from collections.abc import Sequence

from slipway.gateway.admission.step import Grant, Step
from slipway.gateway.request.parse import Asked
from slipway.gateway.request.reply import Reply
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
        """The request has ended: each grant becomes what was used of it. Harmless twice."""
        while self._unsettled:
            await self._unsettled.pop().settle(call)

"""What a step of admission is: a question before a request may go to an engine, and what it holds meanwhile.

Belongs here: what every step promises to the stage that runs it (slipway.gateway.request.admit).
Does not: the steps (rate_limits.py), which there are and in what order (slipway.gateway.server).
"""

from __future__ import annotations

from typing import Protocol

from slipway.gateway.api.bodies import Body
from slipway.gateway.api.errors import Header
from slipway.gateway.usage.call import Call
from slipway.records.routes import Route


class Grant(Protocol):
    """What one step has granted to one request."""

    @property
    def headers(self) -> tuple[Header, ...]:
        """What the answer tells of it."""
        ...

    async def settle(self, call: Call) -> None:
        """The request has ended as `call` says: count what it used, give the rest back.

        Called until it has not been cancelled, and harmless the second time. The request is answered whether
        or not this could be counted.
        """
        ...


class Step(Protocol):
    """One step. A request passes all of them in order; the first that refuses ends it."""

    async def admit(self, call: Call, route: Route, body: Body) -> Grant | None:
        """Let a request go on, or raise the ApiError that refuses it.

        What it grants is settled once, whatever becomes of the request; None grants nothing. A bound that the
        engine must keep is written into the body. The task is cancelled when the client hangs up meanwhile.
        """
        ...

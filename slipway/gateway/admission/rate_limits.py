"""The step of admission for limits per minute: reserve what a request may use, settle with what it used.

Belongs here: which bounds apply, what is reserved of them, and what comes back at each way to end.
Does not: counting (limits.py), how much a request may use (estimate.py), words and headers
(limit_headers.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from slipway.gateway.admission import limit_headers
from slipway.gateway.admission.estimate import Demand, TemplateAllowance, bind, demand_of
from slipway.gateway.admission.limits import Denied, Limiter, Reservation, bounds_of
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.errors import Header
from slipway.gateway.usage.call import Call
from slipway.records.routes import Route


class RateLimits:
    """Requests and tokens per minute. What chat templates add is learned from the engines' counts."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._allowance = TemplateAllowance()

    async def admit(self, call: Call, route: Route, body: Body) -> ReservedLimits | None:
        """Take what the request may use from every limit, and bind its answer to it. Raises ApiError 429."""
        key = call.key
        bounds = bounds_of(route.limits, route.deployment, key.org, key.user, key.id)
        if not bounds:
            return None
        allowance = self._allowance.of(route.deployment)
        demand = demand_of(body, bounds, allowance) or Demand(0, 0, 0)
        reserved = await self._limiter.reserve(
            bounds, demand.prompt, demand.least_output, demand.most_output, time.monotonic()
        )
        if isinstance(reserved, Denied):
            raise limit_headers.rate_limited(route.model, reserved)
        if demand.prompt:
            bind(body, reserved.output_tokens)
        headers = limit_headers.headers(reserved.standings)
        return ReservedLimits(self._limiter, self._allowance, reserved, demand.prompt, headers)


@dataclass(frozen=True, slots=True)
class ReservedLimits:
    """What one request holds of its limits; `prompt_bound` is 0 where none of them is in tokens."""

    limiter: Limiter
    allowance: TemplateAllowance
    reservation: Reservation
    prompt_bound: int
    headers: tuple[Header, ...]

    async def settle(self, call: Call) -> None:
        """Replace the reservation by what was used. What failed costs nothing, unless it streamed before.

        What its client did wrong counts as a request; what another step refused does not.
        """
        now = time.monotonic()
        reported, _, output = call.usage.totals()
        if self.prompt_bound:
            self.allowance.learn(call.deployment, self.prompt_bound, reported)
        if call.status in {"client_error", "limited"} or (call.status == "server_error" and not output):
            await self.limiter.refund(self.reservation, now, request=call.status != "client_error")
        else:
            # Without the engine's count (the client hung up) the prompt's bound stands.
            await self.limiter.settle(self.reservation, (reported or self.prompt_bound) + output, now)

"""The step of admission for limits per minute: reserve what a request may use, settle with what it used.

Belongs here: which bounds apply, what is reserved of them, and what comes back at each way to end.
Does not: counting (limits.py), how much a request may use (estimate.py), words and headers
(limit_headers.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from slipway.gateway.admission import limit_headers
from slipway.gateway.admission.bounds import CallersBounds
from slipway.gateway.admission.estimate import Demand, bind, demand_of
from slipway.gateway.admission.limits import Denied, Limiter, Reservation
from slipway.gateway.admission.template import Template, TemplateAllowance
from slipway.gateway.api.bodies import Body
from slipway.gateway.api.errors import Header
from slipway.gateway.api.operations import OPERATIONS
from slipway.gateway.api.prompts import Reads
from slipway.gateway.usage.call import Call
from slipway.records.routes import Route
from slipway.records.usage import NO_UNITS, Units


class RateLimits:
    """Requests, tokens and units per minute. What chat templates add is learned from the engines' counts."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._bounds = CallersBounds()
        self._allowance = TemplateAllowance()

    async def admit(self, call: Call, route: Route, body: Body) -> ReservedLimits | None:
        """Take what the request may use from every limit, and bind its answer to it.

        Raises ApiError: 429, and 400 for what cannot be bounded.
        """
        key = call.key
        bounds = self._bounds.of(key, route)
        if not bounds:
            return None
        operation, now = OPERATIONS[call.path], time.monotonic()
        reads = operation.reads
        template = Template(route.serving, call.path, key.org)
        tightest = min((bound.limit for bound in bounds if bound.dimension == "tokens"), default=0)
        allowance = self._allowance.of(template, reads.template_tokens, tightest, now)
        demand = demand_of(reads, body, bounds, allowance)
        tokens, units = demand or Demand(0, 0, 0), operation.units(body)
        reserved = await self._limiter.reserve(
            bounds, tokens.prompt, tokens.least_output, tokens.most_output, now, units
        )
        if isinstance(reserved, Denied):
            raise limit_headers.rate_limited(route.model, reserved)
        try:
            lesson = None
            if demand is not None:
                bind(reads, body, reserved.output_tokens)
                lesson = _Lesson(
                    self._allowance, template, reads, demand.prompt - allowance, reads.is_plain(body)
                )
            headers = limit_headers.headers(reserved.standings)
            return ReservedLimits(self._limiter, reserved, tokens.prompt, units, lesson, headers)
        except BaseException:
            await self._limiter.refund(reserved, now, request=True)
            raise


@dataclass(slots=True)
class _Lesson:
    """What an engine's count of one request's prompt will teach."""

    allowance: TemplateAllowance
    template: Template
    reads: Reads
    written: int  # the bound without any allowance
    is_plain: bool

    def learn(self, reported: int, now: float) -> None:
        self.allowance.learn(
            self.template, reported, self.written,
            is_plain=self.is_plain, least=self.reads.template_tokens, now=now,
        )  # fmt: skip


@dataclass(slots=True)
class ReservedLimits:
    """What one request holds of its limits; `prompt_bound` is 0 where none of them is in tokens."""

    limiter: Limiter
    reservation: Reservation
    prompt_bound: int
    units_bound: Units
    lesson: _Lesson | None
    headers: tuple[Header, ...]

    async def settle(self, call: Call) -> None:
        """Replace the reservation by what was used. What failed costs nothing, unless it streamed before.

        What its client did wrong counts as a request, and so does what it hung up on before an engine had it;
        what another step refused does not. Should the count be none, what was reserved stands.
        """
        now = time.monotonic()
        used, units = self.prompt_bound + self.reservation.output_tokens, self.units_bound
        try:
            reported, _, output = call.usage.totals()
            # Without the engine's count (the client hung up) the prompt's bound stands.
            used, units = (reported or self.prompt_bound) + output, call.units
            if _used_nothing(call, output):
                at_fault = call.status in {"client_error", "cancelled"}
                await self.limiter.refund(self.reservation, now, request=not at_fault)
            elif self.lesson is not None and call.usage.counted_by == "engine":
                self.lesson.learn(reported, now)
        finally:
            await self.limiter.settle(self.reservation, used, now, units)  # nothing, where it was refunded


def _used_nothing(call: Call, output_tokens: int) -> bool:
    """Whether nothing is counted of a request that has ended."""
    if call.status == "cancelled":
        return call.handed_over is None
    if call.status == "server_error":
        return not output_tokens and call.units == NO_UNITS
    return call.status in {"client_error", "limited"}

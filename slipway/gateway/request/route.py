"""The second stage: the route of the model that was asked for, or a refusal as if it did not exist.

Belongs here: finding a request's route, and counting the request as in flight on it.
Does not: the table (slipway.gateway.routing.route_follower), choosing among upstreams
(slipway.gateway.routing.upstream).
"""

from __future__ import annotations

from slipway.gateway.admission.auth import permits
from slipway.gateway.api import errors
from slipway.gateway.api.operations import Operation
from slipway.gateway.routing.in_flight import Gauge
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.gateway.usage.call import Call
from slipway.records.routes import Route


class Routed:
    """A route that one request is on, which counts as in flight until it leaves."""

    __slots__ = ("_in_flight", "route")

    def __init__(self, route: Route, in_flight: Gauge) -> None:
        self.route = route
        self._in_flight: Gauge | None = in_flight
        in_flight.enter(route.serving)

    def leave(self) -> None:
        """The request no longer needs it; harmless twice."""
        if self._in_flight is not None:
            self._in_flight.leave(self.route.serving)
            self._in_flight = None


class Router:
    """Finds routes in the table in use, and counts what is on them."""

    def __init__(self, routes: RouteFollower, in_flight: Gauge) -> None:
        self._routes = routes
        self._in_flight = in_flight

    def find(self, operation: Operation, call: Call) -> Routed:
        """The route, already counted as in flight: between looking up and counting nothing else runs.

        Raises ApiError for a model that the caller may not know of, or that does something else.
        """
        route = self._routes.table.visible(call.model, call.key.org)
        if route is None or not permits(call.key, route.deployment, route.task):
            raise errors.model_not_found(call.model)
        call.deployment = route.deployment
        call.task = route.task
        if route.task not in operation.tasks:
            raise errors.wrong_task(route.model, route.task, call.path)
        return Routed(route, self._in_flight)

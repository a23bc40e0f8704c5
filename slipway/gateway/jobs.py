"""The jobs of one replica: what it does again and again beside serving, how often, and how old it may get.

Belongs here: their names, intervals and bounds. Does not: the loop (periodic.py), what any of them does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from slipway.gateway.admission import auth, last_uses
from slipway.gateway.admission.auth import KeyFollower
from slipway.gateway.periodic import Periodic
from slipway.gateway.routing.route_follower import RouteFollower
from slipway.gateway.settings import GatewaySettings
from slipway.gateway.telemetry import traces
from slipway.gateway.telemetry.traces import Traces, TracesNotTakenError
from slipway.gateway.usage.heart import Heart
from slipway.gateway.usage.shipper import Shipper
from slipway.objectstore import ObjectStoreError
from slipway.records import heartbeats
from slipway.tenants.database import TenantsDatabaseError

# So old may a job's last success be, unless a server is away (docs/operations.md). The store's client gives
# up on a silent store after some 4 minutes: no job hangs until then. What is not shipped is on disk.
_FOLLOWING_BOUND_S = 600
_SHIPPING_BOUND_S = 3_600
# No reason to take requests away from a replica: it serves all the same.
_NEVER = math.inf


def jobs(
    settings: GatewaySettings,
    *,
    keys: KeyFollower,
    routes: RouteFollower,
    shipper: Shipper,
    heart: Heart,
    note_uses: Callable[[], object],
    traces_to_send: Traces | None,
) -> list[Periodic]:
    """All of them, not started."""
    every = [
        Periodic(
            "reading API keys", keys.poll, auth.POLL_S, (TenantsDatabaseError,), bound_s=_FOLLOWING_BOUND_S
        ),
        Periodic(
            "reading routes", routes.poll, settings.routes_interval_s, (ObjectStoreError,),
            bound_s=_FOLLOWING_BOUND_S,
        ),
        Periodic(
            "shipping usage", shipper.ship, settings.ship_interval_s, (ObjectStoreError, OSError),
            bound_s=_SHIPPING_BOUND_S + settings.ship_interval_s, backoff=True,
        ),
        Periodic(
            "telling of itself", heart.beat, heartbeats.INTERVAL_S, (ObjectStoreError,), bound_s=_NEVER
        ),
        Periodic(
            "noting uses of keys", note_uses, last_uses.INTERVAL_S, (TenantsDatabaseError,), bound_s=_NEVER
        ),
    ]  # fmt: skip
    if traces_to_send is not None:
        every.append(
            Periodic(
                "sending traces", traces_to_send.send, traces.INTERVAL_S, (TracesNotTakenError,),
                bound_s=_NEVER, backoff=True,
            )
        )  # fmt: skip
    return every

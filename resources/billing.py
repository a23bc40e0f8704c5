"""Billing as a resource: months closed, and their invoices told.

Belongs here: building control's connections. Does not: the steps (slipway.control.billing).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from resources.environment import EnvironmentResource
from slipway.control import billing
from slipway.control.billing import Closed
from slipway.control.connections import Connections

Log = Callable[[str], None]


class BillingResource(dg.ConfigurableResource[None]):
    """Closed months and invoices in the local store, and the warehouse that they are made from."""

    environment: EnvironmentResource

    def close(self, month: str, run_id: str, progress: Log) -> Closed:
        """Close a month and make its invoices; harmless where it is closed. Raises NotReadyError."""
        return billing.close(self._connected(), month, run_id, datetime.now(UTC), progress)

    def deliver(self, month: str, progress: Log) -> int:
        """Tell the webhook, where there is one, of what it has not taken. Raises DeliveryError."""
        at = self._connected()
        return 0 if billing.receiver(at) is None else billing.deliver(at, month, progress)[0]

    def _connected(self) -> Connections:
        return Connections(self.environment.read())

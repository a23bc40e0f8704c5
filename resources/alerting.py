"""Alerts as a resource: looking at the stores, and telling receivers.

Belongs here: building control's connections. Does not: what is wrong (slipway.control.alerting), the memory
(slipway.alerts.ledger).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import dagster as dg

from resources.environment import EnvironmentResource
from slipway.alerts.ledger import Ledger, Observation, decode, encode, observed
from slipway.catalog import Catalog
from slipway.catalog.alerts import AlertName, AlertReceiver
from slipway.control import alerting
from slipway.control.connections import Connections

__all__ = ["AlertingResource", "Ledger", "Observation", "decode", "encode", "observed"]


class AlertingResource(dg.ConfigurableResource[None]):
    """The stores that are looked at, and the environment that receivers' secrets come from."""

    environment: EnvironmentResource

    def observe(self, catalog: Catalog, now: datetime, earliest: datetime) -> Observation:
        """What is wrong as the warehouse and the catalog show it."""
        return alerting.observe(Connections(self.environment.read()), catalog, now, earliest)

    @property
    def looks(self) -> frozenset[AlertName]:
        """What `observe` looks for."""
        return frozenset(alerting.LOOKS)

    def tell(
        self,
        memory: Ledger,
        receivers: Sequence[AlertReceiver],
        now: datetime,
        say: Callable[[str], None],
    ) -> Ledger:
        """Tell every receiver what is due to it."""
        return alerting.tell(memory, receivers, self.environment.read().variables, now, say)

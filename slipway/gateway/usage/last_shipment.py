"""The last shipment of a replica that ends: tried again while the store is away, until its time is over.

Belongs here: how long and how often. Does not: shipping (shipper.py), when it is (slipway.gateway.server).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from slipway.gateway.telemetry import log
from slipway.gateway.usage.shipper import Shipper
from slipway.objectstore import ObjectStoreError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0


def ship_until(
    shipper: Shipper, deadline: float, hurry: threading.Event, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Ship what is spooled, once at least; try again until `deadline` (of the clock) or until told to hurry.

    Whatever happens it returns, unless a call hangs; what is not in the store stays in the spool.
    """
    told: str | None = None
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            shipper.ship()
        except BaseException as error:  # noqa: BLE001 - the process ends in good order nevertheless
            reason = log.reason_of(error, (ObjectStoreError, OSError))
        else:
            return
        left_s = deadline - clock()
        if reason != told:
            log.write("warning", "the last shipment fails", error=reason, tried_for_s=max(0, round(left_s)))
        told = reason
        if left_s <= 0 or hurry.wait(min(pause_s, left_s)):
            return
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

"""Asking Dagster to load this code location again, when the catalog on disk is another than the loaded one.

Belongs here: that query, at most once a minute. Does not: deciding when (catalog_drift.py).
"""

from __future__ import annotations

import threading
import time
from functools import partial

from slipway import graphql

_RELOAD = """
mutation Reload($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) { __typename }
}"""


_PATIENCE_S = 60
_asked_at = float("-inf")


def reload_in_background(webserver_url: str, location: str) -> None:
    """Ask for the reload without waiting: it replaces the very process that asks.

    Asked again while a reload is under way, it does nothing.
    """
    global _asked_at  # one per process, which the reload replaces
    now = time.monotonic()
    if now - _asked_at < _PATIENCE_S:
        return
    _asked_at = now
    ask = partial(graphql.ask, webserver_url, _RELOAD, {"name": location})
    threading.Thread(target=ask, name="reload-code-location", daemon=True).start()

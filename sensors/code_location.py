"""Asking Dagster to load this code location again, when the catalog on disk is another than the loaded one.

Belongs here: the one GraphQL call. Does not: deciding when (catalog_drift.py).
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request

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
    body = json.dumps({"query": _RELOAD, "variables": {"name": location}}).encode()
    request = urllib.request.Request(  # noqa: S310 - the URL is our own webserver's
        f"{webserver_url}/graphql", data=body, headers={"content-type": "application/json"}
    )

    def send() -> None:
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            reply.read()

    threading.Thread(target=send, name="reload-code-location", daemon=True).start()

"""All gateway replicas that follow one route table: what each has loaded, and what is in flight on it.

Belongs here: asking their operator endpoints, and the wait between a published table and a loaded one.
Does not: publishing (slipway.records.route_store), serving (slipway.gateway).
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from slipway.environment import Environment

LOAD_TIMEOUT_S = 60
_POLL_S = 0.2


class RoutesNotLoadedError(RuntimeError):
    """A gateway replica did not take the new table in time. Asked again, it may have it."""

    retriable = True


class Gateways:
    """The replicas at these base URLs; none where no gateway is known."""

    def __init__(self, urls: Sequence[str], token: str) -> None:
        self._urls = tuple(urls)
        self._token = token

    @classmethod
    def of(cls, environment: Environment) -> Gateways:
        """Those that the environment names. Raises MissingSettingError where it names no token for them."""
        urls = environment.gateway_urls
        return cls(urls, environment.gateway_token if urls else "")

    def wait_until_loaded(self, number: int, say: Callable[[str], None]) -> None:
        """Return when every replica serves by the table of this number, or by a later one.

        Raises RoutesNotLoadedError, which names those that do not, and why where they say so.
        """
        if not self._urls:
            return
        deadline = time.monotonic() + LOAD_TIMEOUT_S
        while behind := self._behind(number):
            if time.monotonic() > deadline:
                raise RoutesNotLoadedError(
                    f"gateway {', '.join(behind)} did not load routes {number} in {LOAD_TIMEOUT_S} s. "
                    "See its log."
                )
            time.sleep(_POLL_S)
        say(f"routes {number} are loaded by every gateway")

    def in_flight(self, deployment: str, spec_digest: str) -> int:
        """Requests in flight on one revision, over all replicas. Raises OSError when one does not answer."""
        name = f"{deployment}/{spec_digest}"
        return sum(int(status["in_flight"].get(name, 0)) for status in self._statuses())

    def _behind(self, number: int) -> list[str]:
        """Replicas without this table. One that is not ready yet has no Service that leads to it."""
        try:
            statuses = self._statuses()
        except OSError as error:
            return [f"({error})"]
        return [_named(status) for status in statuses if int(status.get("routes_number", -1)) < number]

    def _statuses(self) -> list[dict[str, Any]]:
        return [_status(url, self._token) for url in self._urls]


def _named(status: dict[str, Any]) -> str:
    replica = str(status["replica"])
    if "routes_number" not in status:
        return f"{replica} (of a version before numbered routes: bring it to this one)"
    refused = status.get("routes_refused")
    return f"{replica} (it refuses them: {refused})" if refused else replica


def _status(url: str, token: str) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the URL is our own gateway's
        f"{url}/-/status", headers={"authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
        status: dict[str, Any] = json.load(reply)
    return status

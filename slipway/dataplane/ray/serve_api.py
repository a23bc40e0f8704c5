"""Ray's dashboard and Serve's proxy over HTTP: the few calls that a data plane needs.

Belongs here: requests, replies, and errors that name the server and the remedy.
Does not: what to write or what it means (slipway.runtimes.ray). Ray itself is never imported.
Protocol: docs.ray.io, "Serve REST API" (V2) and "State API"; Ray 2.60.
"""

from __future__ import annotations

import json
import re
from typing import Any

import urllib3

from slipway.dataplane.errors import ConfigRefusedError, DataPlaneUnreachableError

_APPLICATIONS = "/api/serve/applications/"
# Ray's own first lines of every log of an actor.
_RAY_MARKERS = (":job_id:", ":actor_name:", ":task_name:")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class ServeApi:
    """One Ray cluster: its dashboard at `dashboard_url`, Serve's HTTP proxy at `serve_url`.

    `token` is Ray's, where the cluster asks for one (RAY_AUTH_MODE=token). Safe to share between threads.
    """

    def __init__(self, dashboard_url: str, serve_url: str, token: str | None = None) -> None:
        self.dashboard_url = dashboard_url.rstrip("/")
        self.serve_url = serve_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        # The first call after Ray's start makes it import Serve, which takes ten seconds on a small machine.
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=90), retries=False)

    def read(self) -> dict[str, Any]:
        """The status document (ServeInstanceDetails)."""
        reply = self._call("GET", _APPLICATIONS)
        if reply.status != 200:
            raise self._unreachable(f"GET {_APPLICATIONS} answered {reply.status}: {_short(reply)}")
        details: dict[str, Any] = reply.json()
        return details

    def write(self, document: dict[str, Any]) -> None:
        """Replace the configuration document (ServeDeploySchema); raises ConfigRefusedError for a bad one."""
        headers = {"Content-Type": "application/json"}
        reply = self._call("PUT", _APPLICATIONS, body=json.dumps(document).encode(), headers=headers)
        if reply.status == 400:
            raise ConfigRefusedError(
                f"Ray Serve at {self.dashboard_url} refuses the configuration: {_short(reply)}"
            )
        if reply.status != 200:
            raise self._unreachable(f"PUT {_APPLICATIONS} answered {reply.status}: {_short(reply)}")

    def log_tail(self, replica: dict[str, Any], lines: int = 12) -> tuple[str, ...]:
        """Last lines that a replica's process wrote to standard error; empty when Ray no longer has them."""
        fields = {"actor_id": str(replica.get("actor_id")), "suffix": "err", "lines": str(lines)}
        try:
            reply = self._call("GET", "/api/v0/logs/file", fields=fields)
        except DataPlaneUnreachableError:
            return ()
        if reply.status != 200:
            return ()
        text = _ANSI.sub("", reply.data.decode(errors="replace"))
        log_lines = (line.rstrip() for line in text.splitlines())
        return tuple(line for line in log_lines if line and not line.startswith(_RAY_MARKERS))

    def spec(self, application: str, timeout_s: float = 10) -> dict[str, Any] | None:
        """What one replica, of Serve's choosing, says of itself; None while none answers."""
        timeout = urllib3.Timeout(connect=2, read=timeout_s)
        try:
            reply = self._http.request("GET", f"{self.serve_url}/{application}/-/spec", timeout=timeout)
            body = reply.json() if reply.status == 200 else None
        except (urllib3.exceptions.HTTPError, ValueError):
            return None
        return body if isinstance(body, dict) else None

    def _call(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        headers = {**self._headers, **options.pop("headers", {})}
        try:
            return self._http.request(method, self.dashboard_url + path, headers=headers, **options)
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(f"{method} {path} failed ({type(error).__name__})") from error

    def _unreachable(self, what: str) -> DataPlaneUnreachableError:
        return DataPlaneUnreachableError(
            f"Ray at {self.dashboard_url}: {what}. Check that it is up (`slipway status`) and that "
            "SLIPWAY_RAY_DASHBOARD_URL and SLIPWAY_RAY_TOKEN are its own."
        )


def _short(reply: urllib3.BaseHTTPResponse) -> str:
    return _ANSI.sub("", reply.data.decode(errors="replace")).strip()[-1500:]

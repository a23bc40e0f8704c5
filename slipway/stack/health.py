"""How each server of the stack says that it serves.

Belongs here: questions over HTTP; each function returns what is wrong, or None, and never raises.
Does not: waiting or deciding (supervisor.py, decisions.py).
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway import graphql

_TIMEOUT_S = 3.0
# Dagster's daemons post a heartbeat every 30 s.
_HEARTBEAT_AGE_S = 180.0

_DAGSTER_QUERY = """
{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy lastHeartbeatTime } } }
  workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } } }
"""


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a server. `final` says that waiting does not help."""

    text: str
    final: bool = False


class UnreachableError(Exception):
    """The server did not answer as it should; the message says how."""


def http_trouble(url: str) -> Trouble | None:
    """None when the URL answers 2xx."""
    try:
        _get(url)
    except UnreachableError as error:
        return Trouble(str(error))
    return None


def ray_trouble(dashboard_url: str, agent_url: str, serve_url: str, token: str) -> Trouble | None:
    """None when GCS, raylet and the Serve API answer, and the Serve proxy if any application needs it."""
    headers = {"Authorization": f"Bearer {token}"}
    try:
        _get(f"{dashboard_url}/api/gcs_healthz", headers)
        _get(f"{agent_url}/api/local_raylet_healthz", headers)
        served = json.loads(_get(f"{dashboard_url}/api/serve/applications/", headers))
        # Serve starts its proxy with the first application, and replaces one that dies.
        if served.get("applications"):
            _get(f"{serve_url}/-/healthz")
    except (UnreachableError, ValueError) as error:
        return Trouble(str(error))
    return None


def dagster_trouble(url: str, since: float) -> Trouble | None:
    """None when the UI answers, definitions are loaded and each daemon has sent a heartbeat after `since`.

    `since` is the start of the main process, in seconds since the epoch: heartbeats outlive their daemon in
    Dagster's storage.
    """
    try:
        answer = graphql.ask(url, _DAGSTER_QUERY, timeout_s=_TIMEOUT_S)
        return _dagster_verdict(answer, since, time.time())
    except (graphql.GraphqlError, ValueError, KeyError, TypeError) as error:
        return Trouble(str(error))


def _dagster_verdict(answer: Mapping[str, Any], since: float, now: float) -> Trouble | None:
    for entry in answer["workspaceOrError"]["locationEntries"]:
        loaded = entry["locationOrLoadError"] or {"__typename": "nothing yet"}
        if loaded["__typename"] == "PythonError":
            return Trouble(
                f"code location {entry['name']} does not load: {loaded['message'].strip()}", final=True
            )
        if entry["loadStatus"] != "LOADED":
            return Trouble(f"code location {entry['name']} is still loading")
    for daemon in answer["instance"]["daemonHealth"]["allDaemonStatuses"]:
        beat = daemon["lastHeartbeatTime"] or 0.0
        if daemon["required"] and (beat < since or now - beat > _HEARTBEAT_AGE_S):
            return Trouble(f"daemon {daemon['daemonType']} has sent no heartbeat")
    return None


# Loopback is never behind a proxy, whatever HTTP_PROXY says.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _get(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - loopback
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S) as reply:
            body: bytes = reply.read()
            return body
    except urllib.error.HTTPError as error:
        raise UnreachableError(f"{request.full_url} answers {error.code}") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UnreachableError(f"{request.full_url} does not answer: {reason}") from error

"""Whether an application of Ray Serve serves a given configuration: truly, not likely.

Belongs here: the verdict over a status document, and the cause when it is bad. Pure.
Does not: fetching the document or asking replicas (slipway.dataplane.ray.ray_serve).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from slipway.runtimes.ray.serve_config import Document, is_applied

# UPSCALING and DOWNSCALING are normal while an application serves.
_SERVING = frozenset({"HEALTHY", "UPSCALING", "DOWNSCALING"})

# slipway.engines.errors.EngineRefusedError: starting again is no use, nor is waiting for Serve's retries. Ray
# passes a replica's exception on as text alone, so it is known by the name of its class.
_FINAL = "EngineRefusedError"

# A replica that died is replaced; one whose successors stay unhealthy will not get better.
UNHEALTHY_GRACE_S = 20.0

_ERROR_LINE = re.compile(r"^(?:[\w.]+\.)?(?P<kind>\w*(?:Error|Exception))(?:: (?P<text>.+))?$", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class ServeVerdict:
    """What a status document says of one application.

    `lost`: another writer removed the configuration. `waiting`: not yet. `unconfirmed`: Serve says that it
    serves, but not every running replica has reported the digest. `serving` and `failed` are final.
    """

    state: Literal["lost", "waiting", "unconfirmed", "serving", "failed"]
    message: str
    replicas_ready: int = 0
    replicas_wanted: int = 0


def verdict(
    details: Document,
    wanted: Mapping[str, Any],
    reported: Mapping[str, str],
    unhealthy_s: float = 0,
    old_word: str = "",
) -> ServeVerdict:
    """Judge `wanted` (a rendered application) by Serve's status document.

    `reported` maps a replica's id to the spec digest that it answered with; `unhealthy_s` says for how long
    the application has been UNHEALTHY; `old_word` is what Serve `said` as the configuration was written: as
    long as it says nothing else, that is of the one before. The traps: the document may still show the old
    state under the new name, an empty map of deployments makes "all healthy" vacuous, and RUNNING does not
    say what runs.
    """
    if not is_applied(wanted, details):
        return ServeVerdict("lost", "the configuration is not the one that was written")
    application = details["applications"][wanted["name"]]
    deployments = application.get("deployments") or {}
    ready, replicas_wanted = replica_counts(deployments)
    state, message = _judge(application, deployments, unhealthy_s, old_word)
    if state == "unconfirmed":
        state, message = _confirm(wanted, deployments, reported)
    return ServeVerdict(state, message, ready, replicas_wanted)


_State = Literal["lost", "waiting", "unconfirmed", "serving", "failed"]


def _judge(
    application: Document, deployments: Document, unhealthy_s: float, old_word: str
) -> tuple[_State, str]:
    status = application.get("status", "")
    message = said(application)
    failed = failure(application, old_word)
    if failed:
        return "failed", failed
    if status == "UNHEALTHY" and unhealthy_s >= UNHEALTHY_GRACE_S:
        return "failed", f"UNHEALTHY for {unhealthy_s:.0f} s: {cause(message)}"
    if status != "RUNNING":
        return "waiting", f"{status} {cause(message)}".strip()
    if not deployments:
        return "waiting", "RUNNING without any deployment"
    unready = [
        f"{name} {deployment.get('status')}"
        for name, deployment in deployments.items()
        if not _serves(deployment)
    ]
    if unready:
        return "waiting", f"RUNNING, but {', '.join(unready)}"
    return "unconfirmed", ""


def failure(application: Document, old_word: str = "") -> str:
    """What Serve, or the engine, has given up on, as `DEPLOY_FAILED: cause`; empty while there is hope.

    `old_word` is what was said of the configuration before (see `verdict`).
    """
    status, message = application.get("status", ""), said(application)
    is_final = _FINAL in message and message != old_word
    return f"{status}: {cause(message)}" if status == "DEPLOY_FAILED" or is_final else ""


def _confirm(
    wanted: Mapping[str, Any], deployments: Document, reported: Mapping[str, str]
) -> tuple[_State, str]:
    digest = wanted["args"]["spec_digest"]
    running = {
        replica["replica_id"]
        for deployment in deployments.values()
        for replica in deployment.get("replicas") or ()
        if replica.get("state") == "RUNNING"
    }
    confirmed = {replica for replica, reported_digest in reported.items() if reported_digest == digest}
    if not confirmed:
        return "unconfirmed", "no replica has reported the spec digest yet"
    if running - confirmed:
        return "unconfirmed", f"{len(running & confirmed)} of {len(running)} replicas report the spec digest"
    return "serving", "every running replica reports the spec digest"


def _serves(deployment: Document) -> bool:
    return deployment.get("status") in _SERVING


def replica_counts(deployments: Document) -> tuple[int, int]:
    """Replicas that run, and that are wanted, over an application's deployments."""
    replicas = [
        replica for deployment in deployments.values() for replica in deployment.get("replicas") or ()
    ]
    ready = sum(replica.get("state") == "RUNNING" for replica in replicas)
    return ready, sum(deployment.get("target_num_replicas") or 0 for deployment in deployments.values())


def said(application: Document) -> str:
    """All that Serve says of an application and its deployments."""
    return "\n".join(_messages(application))


def _messages(application: Document) -> Iterator[str]:
    yield str(application.get("message") or "")
    for deployment in (application.get("deployments") or {}).values():
        yield str(deployment.get("message") or "")


def cause(message: str) -> str:
    """The line of a Serve message that says why: the last exception of a traceback, else its first line."""
    plain = _ANSI.sub("", message)
    errors = [error for error in _ERROR_LINE.finditer(plain) if error["text"]]
    if errors:
        return f"{errors[-1]['kind']}: {errors[-1]['text']}"
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    return lines[0] if lines else ""


def failed_replica(application: Document) -> Document | None:
    """The replica started last that does not run and whose log Ray can find; None while there is none."""
    replicas = [
        replica
        for deployment in (application.get("deployments") or {}).values()
        for key in ("replicas", "recent_dead_replicas")
        for replica in deployment.get(key) or ()
        if replica.get("actor_id") and replica.get("state") != "RUNNING"
    ]
    return max(replicas, key=lambda replica: float(replica.get("start_time_s") or 0), default=None)

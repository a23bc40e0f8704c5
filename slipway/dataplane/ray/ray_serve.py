"""The data plane of a Ray cluster without Kubernetes: Ray Serve through its REST API.

Belongs here: changing the one configuration document safely, and waiting until a change is true.
Does not: HTTP (serve_api.py), the document and the judgement (slipway.runtimes.ray).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from slipway.catalog.resolved import ResolvedDeployment
from slipway.dataplane.errors import DataPlaneError, DataPlaneUnreachableError, NotServingError
from slipway.dataplane.protocol import Difference, LiveApplication, Progress, Report
from slipway.dataplane.ray.serve_api import ServeApi
from slipway.records.revisions import Applied
from slipway.runtimes.ray import render, serve_config, serve_status
from slipway.runtimes.ray.serve_status import ServeVerdict

_POLL_S = 0.5
# For so long Serve may say what is true of the configuration before, while it builds the new one.
_OLD_WORD_S = 15.0
_WRITE_ATTEMPTS = 5
_LOG_ATTEMPTS = 4
_DELETE_DEADLINE_S = 60.0
_LOCK_TIMEOUT_S = 120.0


class RayServe:
    """One Ray cluster as a data plane (slipway.dataplane.protocol.DataPlane).

    `node_cache_bytes` bounds the weights' cache on its nodes, for what is rendered from now on.
    """

    def __init__(self, api: ServeApi, node_cache_bytes: int | None = None) -> None:
        self._api = api
        self._node_cache_bytes = node_cache_bytes
        self._lock = FileLock(lock_path(api.dashboard_url), timeout=_LOCK_TIMEOUT_S)

    def render(self, resolved: ResolvedDeployment) -> Applied:
        """What `apply` would send: pure."""
        rendered = render.render(resolved, self._node_cache_bytes)
        return Applied(rendered["name"], resolved.name, resolved.spec_digest, rendered)

    def diff(self, wanted: Applied) -> Difference:
        """What `apply` would change."""
        declared = serve_config.declared(self._api.read()).get(wanted.application)
        if declared is None:
            return Difference("create", wanted.application)
        fields = serve_config.differences(wanted.rendered, declared)
        return Difference("update" if fields else "none", wanted.application, fields)

    def apply(self, wanted: Applied) -> None:
        """Put one application into the configuration, keeping everyone else's."""
        self._change(put=wanted.rendered, remove=frozenset())

    def wait(self, wanted: Applied, deadline_s: float, report: Report) -> None:
        """Return when `wanted` serves, as serve_status.verdict understands it, by the replicas' own word.

        A configuration that another writer lost is written again. Raises NotServingError with Serve's cause
        and the replica's last log lines: as soon as Serve gives up, at the latest after `deadline_s`.
        """
        began = time.monotonic()
        end = began + deadline_s
        old_word: str | None = None
        reported: dict[str, str] = {}
        unhealthy_since: float | None = None
        told: Progress | None = None
        while True:
            is_new = time.monotonic() - began < _OLD_WORD_S
            details, verdict = self._look(
                wanted, reported, _since(unhealthy_since), old_word if is_new else ""
            )
            old_word = _said(details, wanted.application) if old_word is None and details else old_word
            told = _tell(_progress(wanted.application, verdict), told, report)
            if verdict.state == "serving":
                return
            if verdict.state == "failed":
                raise self._not_serving(wanted, verdict.message)
            if time.monotonic() >= end:
                raise self._not_serving(wanted, f"not within {deadline_s:g} s: {verdict.message}")
            if verdict.state == "lost":
                self.apply(wanted)
            unhealthy_since = _unhealthy_since(details, wanted.application, unhealthy_since)
            self._ask(wanted.application, verdict, reported)
            time.sleep(_POLL_S)

    def status(self, deployment: str | None = None) -> tuple[LiveApplication, ...]:
        """Applications of the deployment, or of all. `is_serving` is Serve's word; `wait` asks replicas."""
        details = self._api.read()
        return tuple(
            self._live(str(config["args"]["deployment"]), name, config, details)
            for name, config, _ in serve_config.owned(details, deployment)
        )

    def asked(self, live: Iterable[LiveApplication]) -> tuple[LiveApplication, ...]:
        """The same by the replicas' own word: after a restart, Serve still tells of those before it.

        What no replica answers for does not serve.
        """
        details = self._api.read()
        configs = serve_config.declared(details)
        return tuple(
            self._by_replicas(each, configs[each.name], details)
            if each.is_serving and each.replicas_ready and each.name in configs
            else each
            for each in live
        )

    def _by_replicas(
        self, live: LiveApplication, config: dict[str, Any], details: dict[str, Any]
    ) -> LiveApplication:
        reported: dict[str, str] = {}
        self._ask(live.name, serve_status.verdict(details, config, {}), reported)
        verdict = serve_status.verdict(details, config, reported)
        if live.spec_digest in reported.values():
            return replace(live, message=verdict.message)
        message = "its replicas report another spec" if reported else "no replica answers"
        return replace(live, message=f"{message}, whatever Serve says of it", is_serving=False)

    def roll_back(self, good: Applied, deadline_s: float, report: Report) -> None:
        """Apply a recorded revision again, and wait until it serves."""
        self.apply(good)
        self.wait(good, deadline_s, report)

    def park(self, applications: frozenset[str], report: Report) -> frozenset[str]:
        """None: what Serve has in its configuration, it runs. Their specs are kept as revisions."""
        return applications

    def publish(self, wanted: Applied) -> None:
        """Nothing to do: tenants come through the gateway, by the revision's own path."""

    def delete(self, applications: frozenset[str], report: Report) -> None:
        """Take applications out of the configuration and wait until Serve has stopped them."""
        deadline_s = _DELETE_DEADLINE_S + serve_config.longest_shutdown_s(self._api.read(), applications)
        self._change(put=None, remove=applications)
        end = time.monotonic() + deadline_s
        told: Progress | None = None
        while left := applications & set(self._api.read().get("applications") or {}):
            name = min(left)
            told = _tell(Progress(name, "deleting", 0, 0), told, report)
            if time.monotonic() >= end:
                raise DataPlaneError(
                    f"Ray Serve still has {', '.join(sorted(left))} {deadline_s:g} s after it was "
                    "removed. Look at its replicas in Ray's dashboard, then run this again."
                )
            time.sleep(_POLL_S)

    def endpoint(self, wanted: Applied) -> str:
        """OpenAI base URL of the application at Serve's proxy."""
        return self._endpoint(wanted.rendered)

    def _endpoint(self, rendered: Mapping[str, Any]) -> str:
        return f"{self._api.serve_url}{rendered['route_prefix']}/v1"

    def _change(self, *, put: Mapping[str, Any] | None, remove: frozenset[str]) -> None:
        """Read, merge, write under a lock, and look whether it stayed.

        The lock covers writers on this machine. Serve's API has no compare-and-set: a writer elsewhere may
        still come between, so the document is read again, and merged again if our change is not in it.
        """
        with self._held_lock():
            for _ in range(_WRITE_ATTEMPTS):
                details = self._api.read()
                if _holds(details, put, remove):
                    return
                try:
                    document = serve_config.merged(details, self._api.serve_url, put=put, remove=remove)
                except ValueError as error:
                    raise DataPlaneError(f"Ray at {self._api.dashboard_url}: {error}.") from error
                self._api.write(document)
        if not _holds(self._api.read(), put, remove):
            raise DataPlaneUnreachableError(
                f"Ray at {self._api.dashboard_url}: another writer replaced the Serve configuration "
                f"{_WRITE_ATTEMPTS} times. Let one system at a time write it, then run this again."
            )

    def _held_lock(self) -> AcquireReturnProxy[Any]:
        try:
            return self._lock.acquire()
        except Timeout as error:
            raise DataPlaneUnreachableError(
                f"{self._lock.lock_file} is held for {_LOCK_TIMEOUT_S:g} s by another writer of the Serve "
                f"configuration of {self._api.dashboard_url}. Wait for it or end it, then run this again."
            ) from error

    def _look(
        self, wanted: Applied, reported: Mapping[str, str], unhealthy_s: float, old_word: str | None
    ) -> tuple[dict[str, Any], ServeVerdict]:
        """`old_word`: None at first, when all that is said is."""
        try:
            details = self._api.read()
        except DataPlaneUnreachableError as error:  # the head may be restarting; the deadline bounds it
            return {}, ServeVerdict("waiting", str(error))
        if old_word is None:
            old_word = _said(details, wanted.application)
        return details, serve_status.verdict(details, wanted.rendered, reported, unhealthy_s, old_word)

    def _ask(self, application: str, verdict: ServeVerdict, reported: dict[str, str]) -> None:
        """Collect what replicas report. Serve picks the replica, so several are asked in a row."""
        if verdict.state != "unconfirmed":
            return
        for _ in range(2 * max(verdict.replicas_ready, 1)):
            answer = self._api.spec(application)
            if answer is None:
                return
            reported[str(answer.get("replica"))] = str(answer.get("spec_digest"))

    def _not_serving(self, wanted: Applied, cause: str) -> NotServingError:
        message = f"{wanted.application} (spec {wanted.spec_digest[:8]}) does not serve"
        return NotServingError(message, cause=cause, log=self._log_of(wanted.application))

    def _log_of(self, application: str) -> tuple[str, ...]:
        """Last log lines of the replica that failed; Serve names its process a moment after the cause."""
        for _ in range(_LOG_ATTEMPTS):
            try:
                live = (self._api.read().get("applications") or {}).get(application) or {}
            except DataPlaneUnreachableError:
                return ()
            if not live.get("deployments"):
                return ()
            replica = serve_status.failed_replica(live)
            if replica is not None and (log := self._api.log_tail(dict(replica))):
                return log
            time.sleep(_POLL_S)
        return ()

    def _live(
        self, deployment: str, name: str, config: dict[str, Any], details: dict[str, Any]
    ) -> LiveApplication:
        digest = str(config["args"].get("spec_digest", ""))
        verdict = serve_status.verdict(details, config, {})
        return LiveApplication(
            name=name,
            deployment=deployment,
            spec_digest=digest,
            upstream=self._endpoint(config),
            state=str(details["applications"][name].get("status", "")),
            message=verdict.message,
            replicas_ready=verdict.replicas_ready,
            replicas_wanted=verdict.replicas_wanted,
            is_serving=verdict.state in ("unconfirmed", "serving"),
        )


def _holds(details: dict[str, Any], put: Mapping[str, Any] | None, remove: frozenset[str]) -> bool:
    present = set(serve_config.declared(details))
    return not (present & remove) and (put is None or serve_config.is_applied(put, details))


def _since(instant: float | None) -> float:
    return 0.0 if instant is None else time.monotonic() - instant


def _unhealthy_since(details: dict[str, Any], application: str, since: float | None) -> float | None:
    status = ((details.get("applications") or {}).get(application) or {}).get("status")
    if status != "UNHEALTHY":
        return None
    return time.monotonic() if since is None else since


def _said(details: dict[str, Any], application: str) -> str:
    return serve_status.said((details.get("applications") or {}).get(application) or {})


def _progress(application: str, verdict: ServeVerdict) -> Progress:
    return Progress(
        application, verdict.state, verdict.replicas_ready, verdict.replicas_wanted, verdict.message
    )


def _tell(now: Progress, told: Progress | None, report: Report) -> Progress:
    """Report what has changed, and only that: the run log is read by people."""
    if now != told:
        report(now)
    return now


def lock_path(dashboard_url: str) -> Path:
    """One lock file per Ray cluster, user and machine, wherever the writers' homes are."""
    name = hashlib.sha256(dashboard_url.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"slipway-{os.getuid()}-serve-{name}.lock"

"""A live picture of some objects: listed once, then kept up to date by watches.

Belongs here: threads that list and watch, resuming after 410 and lost connections; waking who waits.
Does not: what the picture means and what is told of it (slipway.dataplane.kubernetes.serving).
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.dataplane.errors import DataPlaneError, DataPlaneUnreachableError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.api.errors import GoneError
from slipway.runtimes.judging.objects import Object
from slipway.runtimes.judging.verdict import Target

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0


@dataclass
class _Picture:
    """The objects of one target by name, as they are known."""

    objects: dict[str, Object] = field(default_factory=dict)
    is_listed: bool = False
    trouble: str = ""


class Watch:
    """Watches targets until it is left; use it in a `with`.

    A target whose kind is not served is empty. A refusal (a missing verb) ends the watch and is raised to
    who waits; a server that is away is waited for.
    """

    def __init__(self, api: KubernetesApi, targets: Iterable[Target]) -> None:
        self._api = api
        self._pictures = {target: _Picture() for target in dict.fromkeys(targets)}
        self._changed = threading.Condition()
        self._version = 0
        self._stopped = threading.Event()
        self._breaks: dict[Target, Callable[[], None]] = {}
        self._versions: dict[Target, str] = {}
        self._refused: DataPlaneError | None = None
        self.relisted = 0

    def __enter__(self) -> Watch:
        for target in self._pictures:
            name = f"watch-{target.kind}"
            threading.Thread(target=self._run, args=(target,), name=name, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with self._changed:
            breaks = list(self._breaks.values())
        for break_connection in breaks:
            break_connection()

    @property
    def version(self) -> int:
        """Grows with every change of the picture."""
        with self._changed:
            return self._version

    def wait_for_change(self, since: int, timeout_s: float) -> bool:
        """Wait until the version is larger than `since`; False after `timeout_s` without a change."""
        with self._changed:
            changed = self._changed.wait_for(lambda: self._version > since or self._refused, timeout_s)
            if self._refused is not None:
                raise self._refused
            return bool(changed)

    def wait_until_listed(self, timeout_s: float) -> None:
        """Wait until every target was listed once; raises DataPlaneUnreachableError when it was not."""
        end = time.monotonic() + timeout_s
        while not self._is_listed():
            if not self.wait_for_change(self.version, end - time.monotonic()) and not self._is_listed():
                raise DataPlaneUnreachableError(
                    f"{self._api.url} did not list in {timeout_s:g} s: {self.trouble}"
                )

    def _is_listed(self) -> bool:
        with self._changed:
            return all(each.is_listed for each in self._pictures.values())

    @property
    def trouble(self) -> str:
        """Why the picture may be old: the last connection's trouble, empty when all is well."""
        with self._changed:
            return next((each.trouble for each in self._pictures.values() if each.trouble), "")

    def objects(self, target: Target) -> tuple[Object, ...]:
        """The objects of a target as they are known now, by name."""
        with self._changed:
            known = self._pictures[target].objects
            return tuple(known[name] for name in sorted(known))

    def _run(self, target: Target) -> None:
        """List, then watch from there; list again when the server forgot that version."""
        resource_version, pause_s = "", _FIRST_PAUSE_S
        while not self._stopped.is_set():
            try:
                if not resource_version:
                    resource_version = self._list(target)
                resource_version = self._follow(target, resource_version)
                pause_s = _FIRST_PAUSE_S
            except GoneError:
                resource_version = ""
                self.relisted += 1
            except DataPlaneUnreachableError as error:
                resource_version = self._known_version(target, resource_version)
                self._tell(target, str(error))
                pause_s = self._pause(pause_s)
            except DataPlaneError as error:
                with self._changed:
                    self._refused = error
                    self._changed.notify_all()
                return
            except Exception as error:  # noqa: BLE001 - such as an answer that is none of Kubernetes'
                resource_version = ""
                self._tell(target, f"an unexpected answer: {type(error).__name__}: {error}")
                pause_s = self._pause(pause_s)

    def _pause(self, pause_s: float) -> float:
        """Wait so long; the length of the next pause."""
        self._stopped.wait(pause_s)
        return min(2 * pause_s, _LONGEST_PAUSE_S)

    def _list(self, target: Target) -> str:
        if not self._api.serves(target.api_version, target.kind):
            with self._changed:
                self._pictures[target].is_listed = True
                self._wake()
            self._stopped.wait()
            return ""
        listed = self._api.list(
            target.api_version, target.kind, target.namespace, labels=target.labels, fields=target.fields
        )
        with self._changed:
            picture = self._pictures[target]
            picture.objects = {each["metadata"]["name"]: each for each in listed.objects}
            picture.is_listed, picture.trouble = True, ""
            self._wake()
        return listed.resource_version

    def _follow(self, target: Target, resource_version: str) -> str:
        """Take changes in until the server ends the stream; the version to go on from."""
        self._versions[target] = resource_version
        for change in self._api.events(
            target.api_version,
            target.kind,
            target.namespace,
            resource_version=resource_version,
            labels=target.labels,
            fields=target.fields,
            opened=lambda end: self._opened(target, end),
        ):
            if self._stopped.is_set():
                break
            self._take(target, change)
        return self._versions[target]

    def _known_version(self, target: Target, otherwise: str) -> str:
        """Where a broken stream had come to: nothing is missed, and nothing is listed again."""
        return self._versions.get(target, otherwise)

    def _opened(self, target: Target, end: Callable[[], None]) -> None:
        with self._changed:
            self._breaks[target] = end
            if self._pictures[target].trouble:
                self._pictures[target].trouble = ""
                self._wake()
        if self._stopped.is_set():
            end()

    def _take(self, target: Target, change: Mapping[str, Any]) -> None:
        """One event of the stream. An ERROR carries a Status: 410 means to list again."""
        kind, obj = change["type"], change["object"]
        if kind == "ERROR":
            self._versions.pop(target, None)
            raise GoneError(str(obj.get("message") or "the watch's version is too old"))
        self._versions[target] = obj["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            return
        name = obj["metadata"]["name"]
        with self._changed:
            known = self._pictures[target].objects
            if kind == "DELETED":
                known.pop(name, None)
            else:
                known[name] = obj
            self._wake()

    def _tell(self, target: Target, trouble: str) -> None:
        with self._changed:
            self._pictures[target].trouble = trouble
            self._wake()

    def _wake(self) -> None:
        self._version += 1
        self._changed.notify_all()

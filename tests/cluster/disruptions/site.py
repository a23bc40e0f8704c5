"""One deployment in a namespace of its own: a good revision that answers, and a second one to be rolled out.

Belongs here: rolling out, asking the first one meanwhile. Does not: what is wrong with the second (cases.py).
"""

import contextlib
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

from kubernetes.client import ApiClient

from slipway.catalog.resolved import ResolvedDeployment
from slipway.control.rollout import roll_out
from slipway.dataplane.errors import DataPlaneError
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.protocol import Progress
from slipway.records import revisions as records
from slipway.records.revisions import Applied, RevisionStore
from testbed.cluster.cluster import Running
from testbed.cluster.objects import Object, Objects, eventually

from ..dataplane.conftest import Impatient, cluster_settings, resolve
from ..dataplane.test_wait import running

_ASKED_EVERY_S = 0.25
_SOON_S = 60
# How long an API server, or a webhook, that is away is waited for here; 90 s is Slipway's own.
_PATIENCE_S = 4.0

Change = Callable[[list[Object]], list[Object]]


class SmallPlane(Impatient):
    """The data plane, with the smallest real server in its pods."""

    def __init__(
        self,
        api: KubernetesApi,
        around: Any,
        image: str,
        container: Mapping[str, Any],
        change: Change,
        gone_deadline_s: float,
    ) -> None:
        super().__init__(api, around, reach="cluster-ip", gone_deadline_s=gone_deadline_s)
        self._image, self._container, self._change = image, dict(container), change

    def render(self, resolved: ResolvedDeployment) -> Applied:
        """As rendered, with this program in the pod, and the objects changed."""
        container = dict(self._container)
        wanted = running(super().render(resolved), container.pop("image", self._image), **container)
        objects = self._change(list(wanted.rendered["objects"]))
        return replace(wanted, rendered={**wanted.rendered, "objects": objects})


@dataclass
class Site:
    """Where one case happens; `fields` are the deployment's in both revisions, `lines` the run log."""

    name: str
    namespace: str
    cluster: Running
    api: ApiClient
    objects: Objects
    revisions: RevisionStore
    fields: Mapping[str, Any]
    lines: list[Progress] = field(default_factory=list)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.cluster.kubeconfig

    def plane(
        self,
        *,
        api: ApiClient | None = None,
        container: Mapping[str, Any] | None = None,
        change: Change = lambda objects: objects,
        gone_deadline_s: float = _SOON_S,
        **around: Any,
    ) -> SmallPlane:
        """The data plane, for this client and with these changes of what it renders."""
        place = cluster_settings(around.pop("namespace", self.namespace), **around)
        image = self.cluster.images["web"].reference
        client = KubernetesApi(api or self.api, patience_s=_PATIENCE_S)
        return SmallPlane(client, place, image, container or {}, change, gone_deadline_s)

    def resolved(self, number: int, deadline_s: float = _SOON_S) -> ResolvedDeployment:
        """The deployment's first or second spec."""
        rollout = {"deadline_s": deadline_s, **self.fields.get("rollout", {})}
        env = {"NUMBER": str(number)}
        return resolve(name=self.name, env=env, **{**self.fields, "rollout": rollout})

    def begin(self) -> Applied:
        """Roll the first revision out; it answers, and its record says that it was good."""
        plane, resolved = self.plane(), self.resolved(1)
        revision = roll_out(plane, self.revisions, resolved, lambda _: None)
        self.revisions.put(records.validated(revision, (), datetime.now(UTC)))
        eventually(lambda: answers(revision.upstream), f"{revision.upstream} answers")
        return revision.applied

    def message(self, plane: SmallPlane, deadline_s: float) -> str:
        """What the rollout of the second revision ends in; empty when it serves."""
        try:
            roll_out(plane, self.revisions, self.resolved(2, deadline_s), self.lines.append)
        except DataPlaneError as error:
            return str(error)
        return ""

    def serving(self) -> set[str]:
        """Spec digests that serve now."""
        return {each.spec_digest for each in self.plane().status(self.name) if each.is_serving}


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@dataclass
class Asked:
    """How the requests of one `asking` fared."""

    count: int = 0
    failed: int = 0


@contextmanager
def asking(url: str) -> Iterator[Asked]:
    """Ask four times a second until it ends, and once more then."""
    stop, asked = Event(), Asked()

    def ask() -> None:
        ended = False
        while not ended:
            ended = stop.wait(_ASKED_EVERY_S)
            asked.count += 1
            asked.failed += not answers(url)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        stop.set()
        thread.join()

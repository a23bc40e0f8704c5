"""A rollout beside the test: applied and waited for in a thread, so that the test can look meanwhile.

Belongs here: the thread, what it reported, deployments that change in place. Does not: what deceives whom.
"""

import threading
from typing import Any

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.protocol import Progress
from slipway.records.revisions import Applied

_SERVERS = {"nim": "nim", "dynamo": "dynamo", "kuberay": "llama.cpp"}
_GPU = {"resources": {"gpu": {}}}


class Rollout:
    """Applies and waits as soon as it is made."""

    def __init__(self, plane: Kubernetes, wanted: Applied, deadline_s: float = 30) -> None:
        self.reports: list[Progress] = []
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(plane, wanted, deadline_s), daemon=True)
        self._thread.start()

    def _run(self, plane: Kubernetes, wanted: Applied, deadline_s: float) -> None:
        try:
            plane.apply(wanted)
            plane.wait(wanted, deadline_s, self.reports.append)
        except Exception as error:  # noqa: BLE001  told to the test
            self.error = error

    @property
    def goes_on(self) -> bool:
        """Whether it has neither succeeded nor failed."""
        return self._thread.is_alive()

    def end(self, timeout_s: float = 40) -> None:
        """Wait for its end; raises what it raised, or AssertionError."""
        self._thread.join(timeout_s)
        assert not self.goes_on, [str(each) for each in self.reports]
        if self.error is not None:
            raise self.error


def revision(runtime: str, number: int, **fields: Any) -> ResolvedDeployment:
    """A deployment that changes in place; its revisions differ in a variable."""
    written = {
        "name": "chat",
        "model": "m",
        "engine": "e",
        "runtime": runtime,
        "rollout": {"strategy": "in-place"},
        "env": {"NUMBER": str(number)},
        **(_GPU if runtime in ("nim", "dynamo") else {}),
        **fields,
    }
    tagged = {"nvidia": {"image": "registry.slipway.test/engine", "tag": "1.0.0"}}
    server = _SERVERS.get(runtime, "vllm")
    engine = {"name": "e", "server": server, "api_key": {"secret": "k"}, "images": tagged}
    deployment = Deployment.model_validate(written)
    commit = "1" * 40
    return ResolvedDeployment(
        deployment=deployment,
        engine=Engine.model_validate(engine),
        model=ResolvedArtifact(name="m", source="hf://o/m", commit=commit),
        adapters=tuple(
            ResolvedArtifact(name=each.adapter, source="hf://o/a", commit=commit)
            for each in deployment.adapters
        ),
        image=f"registry.slipway.test/engine@sha256:{'a' * 64}",
    )

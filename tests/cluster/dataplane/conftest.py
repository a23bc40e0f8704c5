"""A data plane on the test cluster, and deployments whose pods run on fake nodes: any image does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from kubernetes.client import ApiClient

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.dataplane.kubernetes.api.client import KubernetesApi
from slipway.dataplane.kubernetes.kubernetes import Kubernetes
from slipway.dataplane.protocol import Progress
from slipway.records.revisions import Applied
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, ObjectName, StoreAddress

COMMIT = "1" * 40
DIGEST = "sha256:" + "a" * 64
IMAGE = f"registry.slipway.test/engine@{DIGEST}"
FAKE_NODES: Mapping[str, Any] = {
    "node_selector": {"type": "kwok"},
    "tolerations": ({"key": "kwok.x-k8s.io/node"},),
}


def resolve(
    *,
    name: str = "chat",
    runtime: str = "vllm",
    server: str = "vllm",
    image: str | None = IMAGE,
    commit: str = COMMIT,
    engine: Mapping[str, Any] | None = None,
    **fields: Any,
) -> ResolvedDeployment:
    """A resolved deployment; `fields` are the catalog's."""
    written = {"name": name, "runtime": runtime, "model": "m", "engine": "e", **fields}
    deployment = Deployment.model_validate(written)
    return ResolvedDeployment(
        deployment=deployment,
        engine=Engine.model_validate({"name": "e", "server": server, **(engine or {})}),
        model=ResolvedArtifact(name="m", source="hf://o/m", commit=commit),
        adapters=tuple(
            ResolvedArtifact(name=each.adapter, source="hf://o/a", commit=commit)
            for each in deployment.adapters
        ),
        image=image,
    )


def fake(**fields: Any) -> ResolvedDeployment:
    """A deployment whose pods are put on fake nodes."""
    return resolve(**{**FAKE_NODES, **fields})


@dataclass
class Log:
    """What a rollout reports, in its order."""

    lines: list[Progress] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        self.lines.append(progress)

    @property
    def text(self) -> str:
        """One line each."""
        return "\n".join(str(each) for each in self.lines)


@pytest.fixture
def log() -> Log:
    """A run log."""
    return Log()


def cluster_settings(namespace: str, **fields: Any) -> ClusterSettings:
    """What renderers know of the test cluster."""
    store = StoreAddress("http://s3.storage.svc:8333", "models")
    return ClusterSettings(store=store, namespace=namespace, kubeai=ObjectName(namespace, "kubeai"), **fields)


@pytest.fixture
def cluster_api(api: ApiClient) -> KubernetesApi:
    """Slipway's own client of the API server, as administrator."""
    return KubernetesApi(api, patience_s=30)


class Impatient(Kubernetes):
    """The data plane, with pods that end within two seconds: fake ones take the whole grace."""

    def render(self, resolved: ResolvedDeployment) -> Applied:
        """As rendered, but for the grace."""
        applied = super().render(resolved)
        return replace(applied, rendered=_hurried(applied.rendered))


_QUICK = {"terminationGracePeriodSeconds": 2, "sleep": {"seconds": 1}}


def _hurried(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {name: _QUICK.get(name) or _hurried(each) for name, each in found.items()}
    return [_hurried(each) for each in found] if isinstance(found, list | tuple) else found


@pytest.fixture
def make_plane(cluster_api: KubernetesApi, namespace: str) -> Callable[..., Kubernetes]:
    """`make_plane(force=True)` makes a data plane in the test's namespace."""

    def make(api: KubernetesApi = cluster_api, **options: Any) -> Kubernetes:
        around = options.pop("around", {})
        return Impatient(api, cluster_settings(namespace, **around), **options)

    return make


@pytest.fixture
def plane(make_plane: Callable[..., Kubernetes]) -> Kubernetes:
    """The data plane."""
    return make_plane()


@pytest.fixture
def rolled_out(plane: Kubernetes, fake_nodes: list[str], log: Log) -> Applied:
    """A revision of two replicas that serves."""
    wanted = plane.render(fake(replicas=2))
    plane.apply(wanted)
    plane.wait(wanted, 60, log)
    return wanted

"""Deployments that use as much of the catalog as a runtime takes: one per runtime and kind of workload.

Belongs here: the deployments, and what their runtimes need installed. Does not: sending them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.runtimes import registry
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, ObjectName, Pods, StoreAddress

IMAGE = f"registry.slipway.test/engine@sha256:{'a' * 64}"
COMMIT = "1" * 40

_SIZES = {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"cpu": 4, "memory": "8Gi"}}
_VOLUME = {"volume_size": "50Gi", "volume_class": "fast"}
_BY_REQUESTS = {"ongoing_requests": 4}
_RICH: Mapping[str, Any] = {
    "adapters": ["tone"],
    "args": ["--max-num-seqs=7"],
    "env": {"LOUD": "1"},
    "secrets": [{"name": "TOKEN", "secret": "s"}],
    "resources": {**_SIZES, **_VOLUME, "gpu": {"class": "h100"}},
    "node_selector": {"zone": "a"},
    "tolerations": [{"key": "team"}],
    "autoscaling": {"min_replicas": 1, "max_replicas": 4, "target": _BY_REQUESTS},
    "isolation": {"runtime_class": "gvisor"},
    "alias": True,
    "path": "/llm",
}


@dataclass(frozen=True)
class Rich:
    """A deployment; `without` are fields that its runtime refuses, `written` stands in for others."""

    runtime: str
    server: str
    crds: tuple[str, ...]
    without: tuple[str, ...] = ()
    written: Mapping[str, Any] = field(default_factory=dict)


_KEDA = "keda.sh_scaledobjects"
_NO_LIMITS = {"requests": _SIZES["requests"], "gpu": {"class": "h100", "fraction": 0.5}, **_VOLUME}
_BY_CPU = {"min_replicas": 1, "max_replicas": 4, "target": {"cpu_percent": 60, "memory_percent": 80}}
_NO_VOLUME = {**_SIZES, "gpu": {"count": 2, "class": "h100"}}

RICH: Mapping[str, Rich] = {
    "vllm": Rich("vllm", "vllm", (_KEDA,)),
    "llama.cpp on vllm": Rich("vllm", "llama.cpp", (), written={"autoscaling": _BY_CPU}),
    "LeaderWorkerSet": Rich(
        "vllm",
        "vllm",
        ("leaderworkerset.x-k8s.io_leaderworkersets", _KEDA),
        written={"nodes_per_replica": 2},
    ),
    "KubeAI": Rich(
        "kubeai", "vllm", ("kubeai.org_models",), without=("alias",), written={"resources": _NO_VOLUME}
    ),
    "InferenceService": Rich(
        "kserve", "vllm", ("serving.kserve.io_inferenceservices",), without=("adapters",)
    ),
    "Hugging Face server": Rich(
        "kserve", "huggingface", ("serving.kserve.io_inferenceservices",), without=("adapters",)
    ),
    "LLMInferenceService": Rich(
        "kserve", "vllm", ("serving.kserve.io_llminferenceservices",), written={"resources": _NO_VOLUME}
    ),
    "KubeRay": Rich(
        "kuberay", "vllm", ("ray.io_rayservices",), without=("secrets",), written={"resources": _NO_LIMITS}
    ),
    "NIM": Rich(
        "nim",
        "nim",
        ("apps.nvidia.com_nimservices", "apps.nvidia.com_nimcaches"),
        without=("adapters",),
        written={"autoscaling": _BY_CPU},
    ),
    "Dynamo": Rich(
        "dynamo",
        "dynamo",
        ("nvidia.com_dynamographdeployments", "nvidia.com_dynamomodels", _KEDA),
        written={"load_balancing": {"strategy": "prefix-hash"}},
    ),
}
AROUND = ("gateway.networking.k8s.io_httproutes", "monitoring.coreos.com_podmonitors")


def resolved(rich: Rich) -> ResolvedDeployment:
    """The deployment, resolved; raises AssertionError where its runtime refuses any of it."""
    fields = {name: value for name, value in {**_RICH, **rich.written}.items() if name not in rich.without}
    deployment = Deployment.model_validate(
        {"name": "chat", "model": "m", "engine": "e", "runtime": rich.runtime, **fields}
    )
    tagged = {"nvidia": {"image": "registry.slipway.test/engine", "tag": "1.0.0"}}
    engine = Engine.model_validate(
        {"name": "e", "server": rich.server, "api_key": {"secret": "k"}, "images": tagged}
    )
    refused = registry.adapter(rich.runtime).refusals(deployment, engine)
    assert refused == [], refused
    return ResolvedDeployment(
        deployment=deployment,
        engine=engine,
        model=ResolvedArtifact(name="m", source="hf://o/m", commit=COMMIT),
        adapters=tuple(
            ResolvedArtifact(name=each.adapter, source="hf://o/a", commit=COMMIT)
            for each in deployment.adapters
        ),
        image=IMAGE,
    )


def cluster_settings(namespace: str) -> ClusterSettings:
    """A cluster in which nothing is missing, with everything of Slipway's in one namespace."""
    return ClusterSettings(
        store=StoreAddress("http://s3.storage.svc:8333", "models"),
        namespace=namespace,
        slipway_image=IMAGE,
        pull_secrets=("registry",),
        prometheus_url="http://prometheus.monitoring.svc:9090",
        prometheus=Pods("monitoring", {"app": "prometheus"}),
        internal_gateway=ObjectName("slipway-system", "internal"),
        kubeai=ObjectName(namespace, "kubeai"),
        weights_claim="weights",
    )

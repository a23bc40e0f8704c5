"""What a renderer must know of a cluster besides the catalog: addresses, names, what is installed.

Belongs here: plain values, and the error of a renderer that lacks one.
Does not: finding them out (slipway.dataplane), secrets (only the names of the objects that hold them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class RenderError(ValueError):
    """The surroundings lack what a deployment needs; the message names it and says what to do."""


@dataclass(frozen=True)
class StoreAddress:
    """The local S3 as pods see it.

    `secret` names a Secret in each namespace with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY;
    reading rights to `weights/` are enough.
    """

    endpoint_url: str
    bucket: str
    region: str = "us-east-1"
    secret: str = "slipway-s3"  # noqa: S105 (a name)


@dataclass(frozen=True)
class Pods:
    """Pods in a namespace, as a NetworkPolicy selects them."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ObjectName:
    """A namespaced object of a kind that the context says."""

    namespace: str
    name: str


@dataclass(frozen=True)
class ResourceProfile:
    """A resource profile of KubeAI's system configuration: what one unit of it gives a pod."""

    requests: Mapping[str, str]
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Surroundings:
    """One cluster, as far as objects depend on it. The defaults fit a cluster with nothing installed."""

    store: StoreAddress
    namespace: str = "slipway"
    slipway_image: str | None = None  # this package, by digest: the gateway, llama.cpp, copying adapters
    pull_secrets: tuple[str, ...] = ()
    gateway: Pods = Pods("slipway-system", {"app.kubernetes.io/name": "slipway-gateway"})
    gateway_salts_prompts: bool = (
        False  # the gateway sends cache_salt, so a shared prefix cache tells nothing
    )
    prometheus_url: str | None = None
    prometheus: Pods | None = None  # what reads the engines' metrics
    keda: Pods | None = None  # what asks the engines for their load where there is no Prometheus
    internal_gateway: ObjectName | None = (
        None  # a Gateway that only the cluster reaches, for aliases with a path
    )
    runtime_classes: frozenset[str] | None = None  # None: not known, so not judged
    resource_profiles: Mapping[str, ResourceProfile] = field(default_factory=dict)
    gpu_class_label: str = "slipway.dev/gpu-class"
    intel_resource: str = "gpu.intel.com/i915"  # gpu.intel.com/xe with the newer driver
    gpu_shares: int = 4  # pods per card where cards are shared in time or by MPS
    compile_cache_claim: str | None = None  # Dynamo: a claim that keeps compiled kernels
    weights_claim: str | None = None  # Dynamo: a claim that holds `weights/` as the store does
    ray_version: str = "2.60.0"
    catalog_places: Mapping[str, str] = field(default_factory=dict)  # deployment -> `file:line`

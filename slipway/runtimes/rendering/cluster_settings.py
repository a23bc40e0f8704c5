"""What a renderer must know of a cluster besides the catalog: addresses, names, what is installed.

Belongs here: plain values, and the error of a renderer that lacks one.
Does not: finding them out (slipway.dataplane), secrets (only the names of the objects that hold them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class RenderError(ValueError):
    """The cluster's settings lack what a deployment needs; the message names it and says what to do."""

    @classmethod
    def at(cls, deployment: str, message: str) -> RenderError:
        """Of one deployment; the message begins with its field."""
        return cls(f"deployments[{deployment}].{message}")


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
class ClusterSettings:
    """One cluster, as far as objects depend on it. The defaults fit a cluster with nothing installed."""

    store: StoreAddress
    namespace: str = "slipway"
    slipway_image: str | None = None  # this package, by digest: the gateway, llama.cpp, copying adapters
    pull_secrets: tuple[str, ...] = ()
    gateway: Pods = Pods("slipway-system", {"app.kubernetes.io/name": "slipway-gateway"})
    operators: tuple[
        Pods, ...
    ] = ()  # what drives runtimes over HTTP: KubeRay's operator, Slipway in the cluster
    edge: Pods | None = None  # the load balancer's proxies in front of the gateway; None: known to nobody
    gateway_class: str = "envoy"
    gateway_spool_class: str | None = None  # StorageClass of its spools; None: the cluster's default
    gateway_spool_size: str = "10Gi"  # of each replica's, for usage that is not shipped yet
    metallb_namespace: str = "metallb-system"
    gateway_secret: str = "slipway-gateway"  # noqa: S105 (a name); keys: token, tenants-db
    tenants_db_url: str | None = None  # address alone, for the gateway's NetworkPolicy: scheme://host:port
    # Every gateway sends cache_salt, so a shared prefix cache tells nothing; false where some are older.
    gateway_salts_prompts: bool = True
    prometheus_url: str | None = None
    prometheus: Pods | None = None  # what reads the engines' metrics
    keda: Pods | None = None  # what asks the engines for their load where there is no Prometheus
    internal_gateway: ObjectName | None = (
        None  # a Gateway that only the cluster reaches, for aliases with a path
    )
    runtime_classes: frozenset[str] | None = None  # None: not known, so not judged
    kserve_tls: bool = (
        False  # KServe's enableLLMInferenceServiceTLS: engines speak https with certificates of their own
    )
    kubeai: ObjectName = ObjectName(
        "kubeai", "kubeai"
    )  # its namespace, which is its models' too, and Service
    kubeai_profiles: frozenset[str] | None = None  # resource profiles in its configuration; None: not known
    kubeai_cache_profile: str | None = None  # for engines that do not read S3 themselves
    gpu_class_label: str = "slipway.dev/gpu-class"
    intel_resource: str = "gpu.intel.com/i915"  # gpu.intel.com/xe with the newer driver
    gpu_operator_namespace: str | None = (
        None  # Slipway writes the GPU operator's ClusterPolicy for cards that are shared; None: others do
    )
    gpu_shares: int = 4  # pods per card where cards are shared in time or by MPS
    compile_cache_claim: str | None = None  # Dynamo: a claim that keeps compiled kernels
    weights_claim: str | None = None  # Dynamo: a claim that holds `weights/` as the store does
    ray_version: str = "2.60.0"
    ray_head_image: str | None = None  # by digest; None: the image of the first worker group
    ray_service: str = "inference"  # the one RayService of a namespace
    catalog_places: Mapping[str, str] = field(default_factory=dict)  # deployment -> `file:line`

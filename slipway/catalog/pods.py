"""What a deployment may say of its pods on Kubernetes: amounts, volumes, probes, placement, isolation.

Belongs here: these parts of a Deployment document. Does not: the document (deployment.py), what a runtime
makes of them (slipway.runtimes).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from slipway.catalog.fields import MOST_REPLICAS, Cpu, Name, Size, Spec

_LONGEST_S = 86_400
_MOST_FAILURES = 100_000

AbsolutePath = Annotated[str, Field(pattern=r"^/[^:\s]*[^:/\s]$", max_length=1024)]


class Quantities(Spec):
    """CPU and memory, as in a Kubernetes resource list."""

    cpu: Cpu | None = Field(None, description="Cores.")
    memory: Size | None = Field(None, description="As a size.")


class Volume(Spec):
    """Something of the namespace that each replica sees as files: exactly one of the three."""

    mount_path: AbsolutePath = Field(description="Where the engine sees it, such as /data.")
    claim: Name | None = Field(None, description="PersistentVolumeClaim; several replicas need one for many.")
    config_map: Name | None = Field(None, description="ConfigMap.")
    secret: Name | None = Field(None, description="Secret.")
    read_only: bool = Field(True, description="Whether the engine may only read it.")

    @model_validator(mode="after")
    def _one(self) -> Volume:
        if [self.claim, self.config_map, self.secret].count(None) != 2:
            raise ValueError("give exactly one of claim, config_map and secret")
        return self


class File(Spec):
    """A small file with its content."""

    path: AbsolutePath = Field(description="Where the engine sees it.")
    content: str = Field(max_length=100_000, description="Its content; no secrets.")


class CertificateAuthorities(Spec):
    """A ConfigMap with all authorities that an engine is to trust, in PEM."""

    config_map: Name = Field(description="ConfigMap in the deployment's namespace.")
    key: str = Field("ca.crt", pattern=r"^[-._a-zA-Z0-9]+$", description="Key within it.")


class Probe(Spec):
    """How one probe asks; what is absent is the runtime's."""

    path: str | None = Field(None, pattern=r"^/\S*$", description="Path that is asked.")
    initial_delay_s: int | None = Field(None, ge=0, le=_LONGEST_S, description="Time before the first.")
    period_s: int | None = Field(None, ge=1, le=_LONGEST_S, description="Time between two.")
    timeout_s: int | None = Field(None, ge=1, le=_LONGEST_S, description="Longest wait for an answer.")
    failures: int | None = Field(None, ge=1, le=_MOST_FAILURES, description="Failures in a row that count.")


class Probes(Spec):
    """How the kubelet asks a replica."""

    startup: Probe | None = Field(None, description="Until it is up; by default for the rollout's deadline.")
    readiness: Probe | None = Field(None, description="Whether it gets requests.")
    liveness: Probe | None = Field(None, description="Whether it is started again.")


class Toleration(Spec):
    """A taint that a replica's node may have, as in a Kubernetes pod."""

    key: str = Field(description="Key of the taint.")
    value: str | None = Field(None, description="Its value; absent tolerates any.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Its effect; absent tolerates all."
    )


class NodeRule(Spec):
    """A rule about labels of a replica's node."""

    key: str = Field(description="Key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        "In", description="As in Kubernetes' node affinity."
    )
    values: tuple[str, ...] = Field((), description="Values; none for Exists and DoesNotExist.")

    @model_validator(mode="after")
    def _values_where_they_count(self) -> NodeRule:
        if bool(self.values) == (self.operator in ("Exists", "DoesNotExist")):
            raise ValueError(f"operator {self.operator} goes with{'out' if self.values else ''} values")
        return self


class Spread(Spec):
    """Replicas spread over nodes, zones or racks."""

    over: str = Field(description="Label of nodes that tells them apart: topology.kubernetes.io/zone.")
    max_skew: int = Field(1, ge=1, le=MOST_REPLICAS, description="Most replicas more than another place.")
    required: bool = Field(False, description="Rather no replica than an uneven one.")


class Placement(Spec):
    """Where replicas run, beyond node_selector and tolerations."""

    node_affinity: tuple[NodeRule, ...] = Field((), description="Rules that a node must meet, all of them.")
    spread: tuple[Spread, ...] = Field((), description="How replicas are spread.")
    priority_class: Name | None = Field(None, description="PriorityClass of the pods.")


class Isolation(Spec):
    """Where the deployment runs and what surrounds it on Kubernetes."""

    namespace: Name | None = Field(None, description="Namespace of its objects.")
    network_policy: bool = Field(True, description="Deny all traffic but what serving needs.")
    runtime_class: str | None = Field(None, description="RuntimeClass, such as gvisor or kata.")
    quota: Quantities | None = Field(None, description="ResourceQuota of the namespace.")

"""The Deployment: a running instance of a model with its own engine settings, limits, price and sharing.

Belongs here: its fields, their defaults, and what a type can judge of one field.
Does not: rules between fields or documents (slipway.catalog.rules), what a runtime makes of it
(slipway.runtimes).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from slipway.catalog import profiles
from slipway.catalog.documents import Document
from slipway.catalog.fields import (
    MOST_GPUS,
    MOST_REPLICAS,
    Accelerator,
    GpuVendor,
    ModelName,
    Name,
    SecretRef,
    Size,
    Spec,
)
from slipway.catalog.pods import (
    CertificateAuthorities,
    File,
    Isolation,
    Placement,
    Probes,
    Quantities,
    Toleration,
    Volume,
)
from slipway.catalog.runtimes import RuntimeName


class Gpu(Spec):
    """The GPUs of one replica: whole cards, a MIG slice of one, or a fraction where the runtime shares."""

    count: int = Field(1, ge=1, le=MOST_GPUS, description="Cards of one replica.")
    fraction: float | None = Field(None, gt=0, lt=1, description="Share of one card (ray and kuberay).")
    vendor: GpuVendor = Field("nvidia", description="Picks the engine's image and the resource name.")
    gpu_class: str | None = Field(None, alias="class", description="Class, by node label; such as h100.")
    mig_profile: str | None = Field(
        None, pattern=r"^\d+g\.\d+gb$", description="MIG slice of a card, such as 1g.10gb."
    )
    memory: Size | None = Field(None, description="Memory of one card, for the fit check.")
    sharing: Literal["none", "time-slicing", "mps"] = Field(
        "none", description="How several pods share one card."
    )

    @model_validator(mode="after")
    def _one_way_to_share(self) -> Gpu:
        if self.fraction is not None and self.count != 1:
            raise ValueError("fraction goes with count = 1. Remove one of them")
        if self.fraction is not None and self.mig_profile is not None:
            raise ValueError("fraction and mig_profile are both given. Remove one of them")
        return self


class Parallelism(Spec):
    """How a replica's cards are divided; together the sizes take all of them. What is absent follows.

    By default tensors go over the cards of a node, layers over nodes.
    """

    tensor: int | None = Field(None, ge=1, le=MOST_GPUS, description="Cards that each layer is spread over.")
    pipeline: int | None = Field(
        None, ge=1, le=MOST_GPUS, description="Groups of cards that the layers are spread over."
    )
    data: int | None = Field(None, ge=1, le=MOST_GPUS, description="Copies of the model within a replica.")
    expert: bool = Field(False, description="Experts of a mixture whole on a card each, not cut up.")


class Resources(Spec):
    """What one replica asks for."""

    requests: Quantities = Field(Quantities(), description="Reserved for the replica.")
    limits: Quantities = Field(Quantities(), description="The most that the replica may use.")
    gpu: Gpu | None = Field(None, description="Absent means CPU only.")
    profile: profiles.Profile | None = Field(
        None, description="KubeAI resource profile and how often, such as nvidia-gpu-l4:1."
    )
    extended: dict[str, Annotated[int, Field(ge=1, le=MOST_GPUS)]] = Field(
        {}, description="Other extended resources, such as rdma/hca: 1."
    )
    device_claims: tuple[Name, ...] = Field(
        (), description="ResourceClaimTemplates (dynamic resource allocation), one claim of each."
    )
    shared_memory: Size | None = Field(None, description="Size of /dev/shm; 8Gi by default where one is.")
    profile_accelerator: Accelerator | None = Field(
        None, description="What a profile runs on, where its name does not begin with cpu, nvidia, amd, ..."
    )
    volume_size: Size | None = Field(None, description="Ephemeral volume of each replica.")
    volume_class: str | None = Field(None, description="StorageClass of that volume.")

    @property
    def accelerator(self) -> Accelerator:
        """What the GPU's vendor says, else the profile."""
        if self.gpu is not None:
            return self.gpu.vendor
        of_profile = profiles.accelerator(self.profile) if self.profile is not None else None
        return self.profile_accelerator or of_profile or "cpu"

    @property
    def cards(self) -> int | None:
        """Whole cards on one node, counted in the GPU, else in the profile's multiple."""
        if self.gpu is not None and (self.profile is None or "count" in self.gpu.model_fields_set):
            return self.gpu.count if self.gpu.fraction is None else None
        return profiles.cards(self.profile, self.accelerator)


class ScalingTarget(Spec):
    """What autoscaling keeps; the first that is exceeded scales up."""

    cpu_percent: int | None = Field(None, ge=1, le=100, description="CPU used, of what is requested.")
    memory_percent: int | None = Field(None, ge=1, le=100, description="Memory used, of what is requested.")
    ongoing_requests: float | None = Field(None, gt=0, description="Requests in flight per replica.")
    queue_depth: int | None = Field(None, ge=1, description="Requests that wait.")


class Autoscaling(Spec):
    """Bounds, target and delays. Without it the deployment keeps `replicas`."""

    min_replicas: int = Field(1, ge=0, le=MOST_REPLICAS, description="Fewest replicas.")
    max_replicas: int = Field(1, ge=1, le=MOST_REPLICAS, description="Most replicas.")
    target: ScalingTarget = Field(ScalingTarget(ongoing_requests=4), description="What scaling keeps.")
    upscale_delay_s: float = Field(30, ge=0, description="How long load must last before a replica is added.")
    downscale_delay_s: float = Field(600, ge=0, description="How long it must be gone before one is removed.")
    idle: Literal["keep", "sleep", "zero"] = Field("keep", description="What an idle deployment does.")
    idle_after_s: float = Field(900, ge=0, description="Idle time before `idle` applies.")


class LoadBalancing(Spec):
    """How requests are spread over replicas."""

    strategy: Literal["least-load", "prefix-hash"] = Field(
        "least-load", description="Fewest requests in flight, or the replica that knows the prompt's start."
    )
    prefix_length: int = Field(100, ge=1, description="Characters of the prompt that are hashed.")
    load_factor_percent: int = Field(
        125, ge=100, description="Load over the mean at which hashing spills over."
    )


class Validation(Spec):
    """The gate before tenant traffic."""

    ttft_bound_ms: int = Field(10_000, ge=1, description="Largest time to first token that passes.")
    prompt: str = Field("The capital of France is", description="What the gate asks.")
    timeout_s: float = Field(120, gt=0, description="Longest wait for one answer.")


class Rollout(Spec):
    """How a new spec replaces the one that serves."""

    strategy: Literal["blue-green", "in-place"] = Field(
        "blue-green", description="The new spec beside the old one, or in its place."
    )
    surge: int = Field(0, ge=0, le=MOST_REPLICAS, description="Extra replicas during an in-place change.")
    deadline_s: float = Field(900, gt=0, description="Time for the new spec to be serving.")
    drain_s: float = Field(300, ge=0, description="Longest wait for requests in flight on the old revision.")
    validation: Validation = Field(Validation(), description="The gate before tenant traffic.")
    automatic_rollback: bool = Field(True, description="Return to the last good revision by itself.")


def _says_nothing(value: object) -> bool:
    return value is None


class Limit(Spec):
    """Requests, tokens (input + output) and other units per minute; absent is unlimited."""

    requests_per_minute: int | None = Field(None, ge=1, description="Requests in any 60 s.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Input and output tokens in any 60 s.")
    # Not written where they say nothing: gateways that do not know them read such a route table.
    audio_seconds_per_minute: int | None = Field(
        None,
        ge=1,
        exclude_if=_says_nothing,
        description="Seconds of audio to transcribe or translate in any 60 s.",
    )
    characters_per_minute: int | None = Field(
        None, ge=1, exclude_if=_says_nothing, description="Characters to speak in any 60 s."
    )
    documents_per_minute: int | None = Field(
        None, ge=1, exclude_if=_says_nothing, description="Documents to rank or score in any 60 s."
    )


class Limits(Spec):
    """Off by default; each applies to every org, user or API key on its own."""

    org: Limit | None = Field(None, description="Of each organisation.")
    user: Limit | None = Field(None, description="Of each user.")
    api_key: Limit | None = Field(None, description="Of each API key.")


class ServedAdapter(Spec):
    """An adapter of this deployment and the model name that it answers to."""

    adapter: Name = Field(description="Adapter document.")
    served_name: Name | None = Field(
        None, description="What the engine calls it; the adapter's own name by default."
    )
    public_names: tuple[ModelName, ...] = Field(
        (), description="Model names in requests, any text; by default what the engine calls it."
    )

    @property
    def model_name(self) -> str:
        """What the engine calls it."""
        return self.served_name or self.adapter


class EnvFromSecret(SecretRef):
    """An environment variable of the engine that comes from a secret."""

    name: str = Field(description="The variable's name in the engine.")
    key: str | None = Field(
        None, description="Key within the Kubernetes Secret; by default the variable's name."
    )


def _adapter_shorthand(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [{"adapter": item} if isinstance(item, str) else item for item in value]
    return value


class Deployment(Document):
    """One model, one runtime, one set of settings; requested by its name."""

    model: Name = Field(description="Model document.")
    public_names: tuple[ModelName, ...] = Field(
        (),
        description="Model names in requests, any text, such as meta-llama/Llama-3.1-8B-Instruct; instead of "
        "the deployment's name, which is the default.",
    )
    adapters: Annotated[
        tuple[ServedAdapter, ...],
        BeforeValidator(_adapter_shorthand, json_schema_input_type=tuple[Name | ServedAdapter, ...]),
    ] = Field((), description="Adapters of that model. A plain name is short for its adapter field.")
    runtime: RuntimeName = Field(description="What hosts the engine.")
    engine: Name = Field(description="Engine document.")
    data_plane: Name = Field("default", description="Which cluster: a name that the environment connects.")
    args: tuple[str, ...] = Field((), description="Engine arguments, as --dtype=half or as two words.")
    env: dict[str, str] = Field({}, description="Environment variables of the engine.")
    secrets: tuple[EnvFromSecret, ...] = Field((), description="The same, with values that lie elsewhere.")
    replicas: int = Field(1, ge=0, le=MOST_REPLICAS, description="How many, without autoscaling.")
    nodes_per_replica: int = Field(1, ge=1, le=MOST_GPUS, description="Nodes that one replica spans.")
    resources: Resources = Field(Resources(), description="What one replica asks for.")
    parallelism: Parallelism = Field(Parallelism(), description="How its cards are divided.")
    node_selector: dict[str, str] = Field({}, description="Labels that a replica's node must have.")
    tolerations: tuple[Toleration, ...] = Field(
        (), description="Taints that a replica's node may have, besides those of the GPUs asked for."
    )
    placement: Placement = Field(Placement(), description="Where replicas run, beyond labels and taints.")
    volumes: tuple[Volume, ...] = Field((), description="What each replica sees besides its own volume.")
    files: tuple[File, ...] = Field((), max_length=10, description="Small files with their content.")
    ca: CertificateAuthorities | None = Field(None, description="Authorities that the engine trusts.")
    probes: Probes = Field(Probes(), description="How the kubelet asks a replica.")
    max_ongoing_requests: int | None = Field(
        None,
        ge=1,
        le=MOST_REPLICAS,
        description="Most requests that Ray Serve gives one replica at once; 100 by default.",
    )
    autoscaling: Autoscaling | None = Field(None, description="Bounds and target; absent keeps replicas.")
    load_balancing: LoadBalancing = Field(LoadBalancing(), description="Which replica takes a request.")
    rollout: Rollout = Field(Rollout(), description="How a new spec replaces the old one.")
    limits: Limits = Field(Limits(), description="Rate limits; off by default.")
    timeout_s: float = Field(
        300,
        gt=0,
        le=86_400,
        description="Longest silence of its engine in one request: between two parts of a stream; for an "
        "answer in one piece, all the time that it takes.",
    )
    price: Name | None = Field(None, description="PriceBook; without one usage is counted but not billed.")
    sharing: Literal["none", "all"] | tuple[Name, ...] = Field(
        "none", description="none, all, or a list of organisations."
    )
    isolation: Isolation = Field(
        Isolation(), description="Where it runs on Kubernetes, and what surrounds it."
    )
    telemetry: bool = Field(True, description="Collect the engine's own metrics.")
    isolate_prompt_cache: bool = Field(
        True, description="Salt the prefix cache per org, so that timing tells nothing of another's prompts."
    )
    alias: bool = Field(False, description="KServe-style Service <name>-predictor.")
    path: str | None = Field(None, pattern=r"^/[a-z0-9/-]+$", description="Public path, such as /llm.")

    @property
    def served_names(self) -> tuple[str, ...]:
        """What its engine answers to: the deployment's own name, then its adapters'."""
        return (self.name, *(adapter.model_name for adapter in self.adapters))

    @property
    def requested_names(self) -> tuple[tuple[str, str], ...]:
        """Each model name that requests may use, and the served name that it stands for."""
        served = [(self.name, self.public_names), *((a.model_name, a.public_names) for a in self.adapters)]
        return tuple((public, name) for name, publics in served for public in publics or (name,))

    @property
    def accelerator(self) -> Accelerator:
        """What its engine runs on; picks the engine's image."""
        return self.resources.accelerator

    @property
    def cards(self) -> int | None:
        """Whole cards of a replica on one node; None on CPUs, and for a share of a card."""
        return self.resources.cards

    def is_shared_with(self, org: str) -> bool:
        """Whether an organisation may know of this deployment."""
        return self.sharing == "all" or (self.sharing != "none" and org in self.sharing)

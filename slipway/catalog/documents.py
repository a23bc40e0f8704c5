"""The kinds of the catalog but Deployment: models, engines, endpoints, organisations, prices, settings.

Belongs here: fields, defaults, and what can be judged of one document alone.
Does not: rules between documents (slipway.catalog.rules), the Deployment (deployment.py).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from slipway.catalog.alerts import AlertReceiver
from slipway.catalog.fields import (
    MOST_REPLICAS,
    Accelerator,
    ModelName,
    Name,
    SecretRef,
    Size,
    Source,
    Spec,
    Task,
    size_in_bytes,
)
from slipway.catalog.gpu_prices import GpuPrice
from slipway.catalog.gpu_prices import problem as gpu_price_problem
from slipway.catalog.image_names import Image, ImageDigest, Platform, RegistryName, Tag
from slipway.catalog.price_fields import (
    Currency,
    Instant,
    PricePerMillion,
    PricePerMinute,
    PricePerRequest,
    PricePerThousand,
)
from slipway.catalog.price_volumes import PRICE_OF, FreeVolume, Tiers, problem
from slipway.catalog.servers import ServerName
from slipway.catalog.sources import BucketName


class Document(Spec):
    """What every document has."""

    name: Name
    description: str = ""
    owner: str | None = Field(
        None,
        # What Dagster takes for an owner: it refuses all assets for one that it does not.
        pattern=r"^(team:[A-Za-z0-9_-]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7})$",
        description="Who answers for it: team:<name> or an address; an asset owner in Dagster.",
    )


class Model(Document):
    """A model: where its weights come from, and what it can do."""

    source: Source = Field(
        description="hf://org/name@commit, ngc://org/model@version, s3://bucket/prefix or file:///path."
    )
    include: tuple[str, ...] = Field((), description="Glob patterns of files to take; empty takes all.")
    exclude: tuple[str, ...] = Field((), description="Glob patterns of files to leave out.")
    task: Task = Field("text-generation", description="What it does; decides the API paths that it answers.")
    licence: str | None = Field(None, description="Licence note, carried into the manifest.")
    context_length: int | None = Field(
        None,
        ge=1,
        description="Longest context in tokens: --max-model-len, where a deployment's args say none.",
    )
    token: SecretRef | None = Field(None, description="Hub token or NGC key for a gated source.")
    host_locally: bool = Field(
        True, description="Pull into local S3. False lets the engine download at start, with a warning."
    )


class Adapter(Document):
    """A LoRA adapter of a base model, served under its own model name."""

    base: Name = Field(description="Model that it was trained on.")
    source: Source = Field(description="As for a model.")
    include: tuple[str, ...] = Field((), description="As for a model.")
    exclude: tuple[str, ...] = Field((), description="As for a model.")
    licence: str | None = Field(None, description="As for a model.")
    token: SecretRef | None = Field(None, description="As for a model.")


class EngineImage(Spec):
    """An engine image for one accelerator: a digest, or a tag that mirroring resolves to one."""

    image: Image = Field(
        description="Registry and path, such as registry.example/team/engine, without tag or digest."
    )
    tag: Tag | None = Field(None, description="Resolved to a digest when the image is mirrored.")
    digest: ImageDigest | None = Field(
        None, description="sha256: and 64 hex digits. Names one image for good."
    )
    platforms: tuple[Platform, ...] = Field(
        (), description="Platforms to mirror, such as linux/amd64; empty mirrors all."
    )

    @model_validator(mode="after")
    def _tag_or_digest(self) -> EngineImage:
        if self.tag is None and self.digest is None:
            raise ValueError("neither tag nor digest is given. Give one; a digest is safer")
        return self


class Registry(Spec):
    """How images are read from one registry, or from one path of it."""

    pull_secret: SecretRef | None = Field(
        None, description="Credentials as `user:password`. NGC: `$oauthtoken:<API key>`."
    )
    ca_file: str | None = Field(
        None, description="PEM file of a certificate authority that it is trusted by, besides the system's."
    )
    insecure_http: bool = Field(False, description="Plain http, without TLS; off unless said so here.")


class SourceBucket(Spec):
    """A bucket of another S3 store, or with other keys, that artifacts are read from."""

    endpoint_url: str = Field(
        pattern=r"^https?://[^/\s@]+/?$", description="The store, such as https://s3.example."
    )
    region: str = Field("us-east-1", description="Region that requests are signed for.")
    access_key: SecretRef = Field(description="Access key; may read and list.")
    secret_key: SecretRef = Field(description="Its secret.")
    ca_file: str | None = Field(
        None, description="PEM file of the certificate authorities that it is trusted by."
    )


class Engine(Document):
    """An inference engine: which server it is, and its image per accelerator."""

    server: ServerName = Field(description="The inference server. A runtime hosts some of them.")
    images: dict[Accelerator, EngineImage] = Field(
        {},
        description="Image per accelerator. Empty only on ray, where our own servers run in the environment.",
    )
    env: dict[str, str] = Field({}, description="Environment of every deployment with this engine.")
    api_key: SecretRef | None = Field(
        None, description="Licence or API key that the engine needs, such as NGC's."
    )


class Tls(Spec):
    """How the endpoint's certificate comes about: one of the two."""

    issuer: str | None = Field(None, description="cert-manager ClusterIssuer.")
    secret: Name | None = Field(None, description="Existing TLS secret.")

    @model_validator(mode="after")
    def _one(self) -> Tls:
        if (self.issuer is None) == (self.secret is None):
            raise ValueError("give exactly one of issuer and secret")
        return self


class AddressPool(Spec):
    """Public addresses for the load balancer (MetalLB)."""

    addresses: tuple[str, ...] = Field(min_length=1, description="CIDRs or ranges.")
    l2: bool = Field(True, description="Announce them on the local network (layer 2).")


class Endpoint(Document):
    """A host name that serves many deployments by model name."""

    host: str = Field(pattern=r"^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$", description="Public host name.")
    tls: Tls | None = Field(None, description="The host's certificate.")
    address_pool: AddressPool | None = Field(None, description="Public addresses that it listens on.")
    gateway_replicas: int = Field(1, ge=1, le=MOST_REPLICAS, description="Replicas of the tenant gateway.")
    data_plane: Name | None = Field(
        None,
        description="Kubernetes data plane that the gateway runs on. Default: the only one of the "
        "deployments; where all are on plain Ray, nothing is made of the endpoint.",
    )
    deployments: Literal["all"] | tuple[Name, ...] = Field("all", description="Which deployments it serves.")


class Organization(Document):
    """A tenant organisation. Its users and API keys live in the tenants' database, not here."""

    display_name: str | None = Field(None, description="Its name for people.")
    external_id: str | None = Field(None, description="The organisation's id in your own systems.")


class Price(Spec):
    """Prices in force from an instant until the next entry of the same scope.

    Those of tokens are per 1M, and "0" where a model's use has none. What an entry gives no price for is not
    billed, and the check `unpriced` says so: say "0" for what is free.
    """

    effective_from: Instant = Field(description="First instant at which it applies.")
    input: PricePerMillion = Field(description="Of input tokens that the engine had to compute.")
    cached_input: PricePerMillion = Field(description="Of input tokens that the engine had in its cache.")
    output: PricePerMillion = Field(description="Of generated tokens.")
    input_audio_per_minute: PricePerMinute | None = Field(
        None, description="Per minute of audio that is transcribed or translated."
    )
    output_audio_per_minute: PricePerMinute | None = Field(
        None, description="Per minute of audio that is generated."
    )
    characters_per_million: PricePerMillion | None = Field(
        None, description="Per 1M characters of text that is spoken."
    )
    documents_per_thousand: PricePerThousand | None = Field(
        None, description="Per 1,000 documents that are ranked or scored."
    )
    searches_per_thousand: PricePerThousand | None = Field(
        None, description="Per 1,000 searches: queries that documents are ranked or scored for."
    )
    org: Name | None = Field(
        None, description="Only for this organisation; it goes before the general price."
    )
    model: ModelName | None = Field(
        None,
        description="Only for requests for this model name, an adapter's or a public one, as clients write "
        "it; it goes before the price of all names, and after an organisation's own.",
    )
    tiers: Tiers = Field(Tiers(), description="Other prices above a volume of the month.")
    free_per_month: FreeVolume = Field(FreeVolume(), description="What is free of each unit in a month.")
    minimum_per_request: PricePerRequest | None = Field(
        None,
        description="Least that a successful request costs, off by default: what its units at the entry's "
        "own prices lack is added.",
    )

    @model_validator(mode="after")
    def _volumes(self) -> Price:
        prices = {term: getattr(self, term) for term in PRICE_OF.values()}
        if (wrong := problem(self.tiers, self.free_per_month, prices)) is not None:
            raise ValueError(wrong)
        return self


class PriceBook(Document):
    """Append-only prices in one currency. A price in force in a closed month cannot change."""

    currency: Currency = Field("USD", description="ISO 4217.")
    prices: tuple[Price, ...] = Field(
        min_length=1, description="Add entries; do not change those already in force."
    )
    bill_failed: Literal["engine-output", "nothing"] = Field(
        "engine-output",
        description="What is billed of a request that failed or was hung up: what the engine did, prompt "
        "included, or nothing.",
    )


class Settings(Document):
    """Settings of the whole catalog. At most one document of this kind."""

    keep_revisions: int = Field(3, ge=1, description="Revisions kept per deployment for rolling back.")
    weights_grace_s: int = Field(
        86_400, ge=0, description="How long nobody must have named weights before they are removed."
    )
    weights_check: Literal["sampled", "full"] = Field(
        "sampled", description="How much of the stored weights a verification reads back."
    )
    node_cache_size: Size = Field(
        "200Gi",
        description="Bound of each node's weights cache; it comes with a deployment's next rollout.",
    )
    transfer_executor: Literal["in-process", "kubernetes"] = Field(
        "in-process", description="Where transfers run: within the Dagster run, or as Kubernetes jobs."
    )
    rollup_executor: Literal["in-process", "kubernetes"] = Field(
        "in-process",
        description="Where steps of the job `rollup` run: within the Dagster run, or as Kubernetes jobs, "
        "those of a warehouse's shards side by side.",
    )
    registries: dict[RegistryName, Registry] = Field(
        {},
        description="Source registries that need more than anonymous https: by host[:port], "
        "or host[:port]/path. The longest that fits an image counts.",
    )
    s3_sources: dict[BucketName, SourceBucket] = Field(
        {},
        description="Buckets of s3:// sources that are not in Slipway's own store, or need other keys.",
    )
    usage_lookback_hours: int = Field(
        3, ge=1, description="Closed hours that each hourly rollup looks at again."
    )
    usage_refresh_minutes: int = Field(
        5, ge=0, le=30, description="Minutes between rollups of the running hour; 0: not before it is over."
    )
    drift_attempts: int = Field(3, ge=1, description="Repairs tried per spec digest before an alert.")
    alert_webhook: SecretRef | None = Field(
        None,
        description="Slack-compatible webhook that is told of every alert, as one of `alert_receivers`.",
    )
    alert_receivers: tuple[AlertReceiver, ...] = Field((), description="Who is told of which alerts.")
    gpu_prices: tuple[GpuPrice, ...] = Field(
        (), description="What GPUs cost to run, for margins; nobody is billed by it."
    )
    gpu_idle_hours: int = Field(
        6,
        ge=1,
        le=168,
        description="After so many whole hours without a request, GPUs that run are an alert.",
    )

    @field_validator("alert_webhook")
    @classmethod
    def _in_the_environment(cls, webhook: SecretRef | None) -> SecretRef | None:
        if webhook is not None and webhook.env is None:
            raise ValueError("is read from the environment. Write {env: VARIABLE}")
        return webhook

    @field_validator("gpu_prices")
    @classmethod
    def _one_at_a_time(cls, prices: tuple[GpuPrice, ...]) -> tuple[GpuPrice, ...]:
        if (wrong := gpu_price_problem(prices)) is not None:
            raise ValueError(wrong)
        return prices

    @field_validator("alert_receivers")
    @classmethod
    def _names_differ(cls, receivers: tuple[AlertReceiver, ...]) -> tuple[AlertReceiver, ...]:
        names = [receiver.name for receiver in receivers]
        for name in names:
            if names.count(name) > 1 or name == "alert-webhook":
                raise ValueError(f"two receivers are named {name}. Rename one")
        return receivers

    @property
    def receivers(self) -> tuple[AlertReceiver, ...]:
        """All receivers of alerts, `alert_webhook` among them under the name `alert-webhook`."""
        if self.alert_webhook is None:
            return self.alert_receivers
        return (
            AlertReceiver(name="alert-webhook", kind="slack", webhook=self.alert_webhook),
            *self.alert_receivers,
        )

    @property
    def node_cache_bytes(self) -> int | None:
        """The bound in bytes, where the catalog gives one: otherwise each node's own environment counts."""
        return size_in_bytes(self.node_cache_size) if "node_cache_size" in self.model_fields_set else None

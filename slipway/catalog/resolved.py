"""A deployment with everything it refers to, pinned: the input of every renderer, and its digest.

Belongs here: joining documents to one value, and the digest that names a revision.
Does not: finding out what a moving ref points at (slipway.artifacts), rendering (slipway.runtimes).
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Adapter, Engine, Model
from slipway.catalog.fields import Name, Spec, Task, is_pinned, split_revision
from slipway.catalog.runtimes import RUNTIMES

# Fields of a deployment that change what tenants may do or pay, not what the engine runs.
_NOT_THE_ENGINE = frozenset(
    {
        "description",
        "owner",
        "limits",
        "price",
        "sharing",
        "rollout",
        "load_balancing",
        "alias",
        "path",
        "public_names",
        "timeout_s",
    }
)

# Fields that are younger than revisions that somewhere run; a path each, as a document writes it.
_CAME_LATER = (
    "tolerations",
    "parallelism",
    "placement",
    "volumes",
    "files",
    "ca",
    "probes",
    "max_ongoing_requests",
    "resources.extended",
    "resources.device_claims",
    "resources.shared_memory",
    "resources.profile_accelerator",
)


class UnresolvedRevisionError(LookupError):
    """A moving ref has no recorded commit yet: its weights were never pulled."""

    def __init__(self, artifact: str, source: str) -> None:
        super().__init__(f"{artifact}: {source} moves and was never resolved. Pull its weights first.")
        self.artifact = artifact


class ResolvedArtifact(Spec):
    """Weights at one commit, as they lie in local S3 under `weights/<name>/<commit>/`."""

    name: Name
    source: str
    commit: str

    @property
    def prefix(self) -> str:
        """Key prefix of the files; the manifest lies beside them as `manifest.json`."""
        return f"weights/{self.name}/{self.commit}/"


class ResolvedDeployment(Spec):
    """A deployment, its engine and the pinned artifacts: all that a renderer may look at."""

    deployment: Deployment
    engine: Engine
    model: ResolvedArtifact
    adapters: tuple[ResolvedArtifact, ...] = ()
    task: Task = "text-generation"
    context_length: int | None = None
    image: str | None = None  # `<registry>/<path>@sha256:...`, as mirrored; None runs in the environment

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self.deployment.name

    @property
    def spec_digest(self) -> str:
        """sha256 (hex) over what decides how the engine runs; a revision's identity."""
        return digest_of(self.engine_spec())

    @property
    def revision_name(self) -> str:
        """Name of a blue-green revision's objects: `<deployment>-<8 hex of the spec digest>`."""
        return f"{self.name}-{self.spec_digest[:8]}"

    def engine_spec(self) -> dict[str, Any]:
        """The part of the spec that the digest covers, as plain JSON values."""
        deployment = self.deployment.model_dump(mode="json", by_alias=True, exclude=set(_NOT_THE_ENGINE))
        deployment["rollout"] = {"strategy": self.deployment.rollout.strategy}
        for served in deployment["adapters"]:
            del served["public_names"]
        engine = self.engine.model_dump(mode="json", exclude={"description", "owner"})
        spec = {
            "deployment": deployment,
            "engine": engine,
            "model": self.model.model_dump(mode="json"),
            "adapters": [adapter.model_dump(mode="json") for adapter in self.adapters],
        }
        _leave_out_unset(deployment)
        later = {"task", "context_length", "image"}
        return {**spec, **self.model_dump(mode="json", include=later, exclude_defaults=True)}


def _leave_out_unset(deployment: dict[str, Any]) -> None:
    """Of fields that came later only those that say something: without, a revision keeps its digest."""
    for path in _CAME_LATER:
        *way, name = path.split(".")
        inner = deployment
        for step in way:
            inner = inner[step]
        if inner[name] == _unset()[path]:
            del inner[name]


@functools.cache
def _unset() -> dict[str, Any]:
    """What each of them is where nothing is written."""
    runtime = next(iter(RUNTIMES))  # any: fields' defaults are the same on all of them
    bare = Deployment.model_validate({"name": "a", "model": "a", "runtime": runtime, "engine": "a"})
    dump = bare.model_dump(mode="json", by_alias=True)
    return {
        path: functools.reduce(lambda inner, step: inner[step], path.split("."), dump) for path in _CAME_LATER
    }


def resolve(
    catalog: Catalog,
    deployment: Deployment,
    commits: Mapping[str, str],
    images: Mapping[tuple[str, str], str] | None = None,
) -> ResolvedDeployment:
    """Join a deployment with what it names.

    `commits` maps a model's or adapter's name to the commit its moving ref was last resolved to; a pinned
    source needs none. `images` maps an engine's name and accelerator to its mirrored image, by digest.
    Raises UnresolvedRevisionError when a moving ref has no commit yet.
    """
    model = catalog.model(deployment.model)
    adapters = [catalog.adapter(served.adapter) for served in deployment.adapters]
    return ResolvedDeployment(
        deployment=deployment,
        engine=catalog.engine(deployment.engine),
        model=_pin(model.name, model.source, commits),
        adapters=tuple(_pin(adapter.name, adapter.source, commits) for adapter in adapters),
        task=model.task,
        context_length=model.context_length,
        image=(images or {}).get((deployment.engine, deployment.accelerator)),
    )


def declared_digest(catalog: Catalog, deployment: Deployment) -> str:
    """Digest of a deployment as the catalog declares it: a moving ref counts by its name, not its commit."""
    model = catalog.model(deployment.model)
    artifacts: list[Model | Adapter] = [
        model,
        *(catalog.adapter(served.adapter) for served in deployment.adapters),
    ]
    refs = {artifact.name: str(split_revision(artifact.source)[1]) for artifact in artifacts}
    return resolve(catalog, deployment, refs).spec_digest


def _pin(name: str, source: str, commits: Mapping[str, str]) -> ResolvedArtifact:
    if is_pinned(source):
        return ResolvedArtifact(name=name, source=source, commit=str(split_revision(source)[1]))
    if name not in commits:
        raise UnresolvedRevisionError(name, source)
    return ResolvedArtifact(name=name, source=source, commit=commits[name])


def digest_of(value: object) -> str:
    """sha256 (hex) of plain JSON values, whatever the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()

"""Weights, catalogs and revisions for the tests of garbage collection, made directly in a store."""

from datetime import UTC, datetime
from typing import Any

from slipway.artifacts.weights.manifest import Manifest
from slipway.catalog import Catalog, Deployment, Engine, Model, ResolvedArtifact, ResolvedDeployment, Settings
from slipway.objectstore import ObjectStore
from slipway.records import revisions
from slipway.records.revisions import Applied, Revision
from testbed import weights

FILES = {"config.json": b"{}", "model.gguf": b"weights" * 100, "tokenizer.json": b"[]"}


def commit(number: int) -> str:
    return f"{number:040x}"


def publish(store: ObjectStore, name: str, at: str) -> Manifest:
    """Weights of three small files, as a pull leaves them."""
    return weights.publish(store, name, FILES, source=f"hf://org/{name}@{at}", commit=at)


def catalog_of(*sources: str, grace_s: int = 0) -> Catalog:
    """A catalog with a model for each source, named as its repository."""
    models = [Model(name=source.split("/")[3].split("@")[0], source=source) for source in sources]
    return Catalog(models=tuple(models), settings=Settings(name="default", weights_grace_s=grace_s))


def deployment(name: str, model: str, at: str, **fields: Any) -> ResolvedDeployment:
    return ResolvedDeployment(
        deployment=Deployment(name=name, model=model, runtime="ray", engine="llama", **fields),
        engine=Engine(name="llama", server="llama.cpp"),
        model=ResolvedArtifact(name=model, source=f"hf://org/{model}@{at}", commit=at),
    )


def revision_of(resolved: ResolvedDeployment) -> Revision:
    applied = Applied(resolved.revision_name, resolved.name, resolved.spec_digest, {})
    return revisions.of(resolved, applied, "http://127.0.0.1:1/v1", datetime.now(UTC))


def keys(store: ObjectStore) -> set[str]:
    return {item.key for item in store.list("")}


def is_whole(store: ObjectStore, manifest: Manifest) -> bool:
    """Whether every file that the manifest names is there."""
    present = {item.key for item in store.list(manifest.prefix)}
    return {manifest.prefix + file.path for file in manifest.files} <= present

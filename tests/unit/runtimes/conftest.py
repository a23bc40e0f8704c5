"""What renderers are given in tests, and the judges of what they give back."""

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.runtimes.rendering.cluster_settings import ClusterSettings, ObjectName, Pods, StoreAddress
from slipway.runtimes.rendering.rendered import Object, Rendered

CRDS = Path(__file__).parents[3] / "testbed" / "crds"
COMMIT = "1" * 40
DIGEST = "sha256:" + "a" * 64
IMAGE = f"registry.local:5000/engines/engine@{DIGEST}"


@pytest.fixture
def cluster() -> ClusterSettings:
    """A cluster that has everything."""
    return ClusterSettings(
        store=StoreAddress("http://s3.storage.svc:8333", "models"),
        slipway_image=f"registry.local:5000/slipway@{DIGEST}",
        prometheus_url="http://prometheus.monitoring.svc:9090",
        prometheus=Pods("monitoring", {"app": "prometheus"}),
        keda=Pods("keda", {"app": "keda-operator"}),
        internal_gateway=ObjectName("slipway-system", "internal"),
        runtime_classes=frozenset({"gvisor"}),
        weights_claim="weights",
        compile_cache_claim="compiled",
        catalog_places={"chat": "catalog/chat.yaml:3"},
    )


def resolve(
    *,
    runtime: str = "vllm",
    server: str = "vllm",
    engine: Mapping[str, Any] | None = None,
    task: Any = "text-generation",
    context_length: int | None = None,
    image: str | None = IMAGE,
    name: str = "chat",
    **fields: Any,
) -> ResolvedDeployment:
    """A resolved deployment; `fields` are the catalog's."""
    written = {"model": "m", "engine": "e", **fields}
    deployment = Deployment.model_validate({"name": name, "runtime": runtime, **written})
    return ResolvedDeployment(
        deployment=deployment,
        engine=Engine.model_validate({"name": "e", "server": server, **(engine or {})}),
        model=ResolvedArtifact(name="m", source="hf://o/m", commit=COMMIT),
        adapters=tuple(
            ResolvedArtifact(name=each.adapter, source="hf://o/a", commit=COMMIT)
            for each in deployment.adapters
        ),
        task=task,
        context_length=context_length,
        image=image,
    )


@pytest.fixture
def resolved() -> Callable[..., ResolvedDeployment]:
    """Makes a resolved deployment of the catalog's fields."""
    return resolve


@pytest.fixture
def accepted() -> Callable[[Rendered], dict[str, Object]]:
    """Returns the objects by kind, after the API server's rules accept each of them."""

    def by_kind(rendered: Rendered) -> dict[str, Object]:
        objects = [*rendered.objects, *rendered.public]
        for each in objects:
            assert problems(each) == []
        return {each["kind"]: each for each in reversed(objects)}

    return by_kind


@pytest.fixture
def problems_of() -> Callable[[Object], list[str]]:
    """What the API server would find wrong with one object."""
    return problems


def problems(rendered: Object) -> list[str]:
    """Unknown and missing fields, wrong types, patterns and bounds; labels and names that are too long."""
    found = list(_metadata(rendered))
    group, _, version = rendered["apiVersion"].rpartition("/")
    schema = _schemas().get((group, version, rendered["kind"]))
    if schema is not None:
        rest = {name: value for name, value in rendered.items() if name != "metadata"}
        return found + list(_judge(schema, rest, ""))
    again = _through_typed_models(rendered)
    return found if again == rendered else [*found, f"the client's models read it as {again}"]


def _metadata(rendered: Object) -> Iterator[str]:
    metadata = rendered["metadata"]
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", metadata["name"]):
        yield f"metadata.name {metadata['name']}"
    for key, value in metadata.get("labels", {}).items():
        if not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value):
            yield f"metadata.labels.{key} {value}"


@functools.cache
def _schemas() -> dict[tuple[str, str, str], Any]:
    found = {}
    for path in CRDS.glob("*.json"):
        spec = json.loads(path.read_text())["spec"]
        for version in spec["versions"]:
            key = (spec["group"], version["name"], spec["names"]["kind"])
            found[key] = version["schema"]["openAPIV3Schema"]
    return found


def _judge(schema: Any, value: Any, path: str) -> Iterator[str]:
    """Structural schemas as the API server reads them (apiextensions v1), but for CEL rules and formats."""
    if value is None and schema.get("nullable"):
        return
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str):
            yield f"{path}: {value!r} is neither number nor text"
        return
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
    }
    kind = schema.get("type")
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path}: {value!r} is not {kind}"
        return
    yield from _bounds(schema, value, path)
    if isinstance(value, dict):
        yield from _judge_object(schema, value, path)
    if isinstance(value, list) and "items" in schema:
        for n, item in enumerate(value):
            yield from _judge(schema["items"], item, f"{path}[{n}]")


def _judge_object(schema: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    known, extra = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}.{name}: is required"
    for name, inner in value.items():
        if name in known:
            yield from _judge(known[name], inner, f"{path}.{name}")
        elif isinstance(extra, dict):
            yield from _judge(extra, inner, f"{path}.{name}")
        elif not extra and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name}: unknown field, would be pruned"


def _bounds(schema: Any, value: Any, path: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield f"{path}: longer than {schema['maxLength']}"
    if isinstance(value, int | float) and value < schema.get("minimum", value):
        yield f"{path}: {value} is less than {schema['minimum']}"
    if isinstance(value, int | float) and value > schema.get("maximum", value):
        yield f"{path}: {value} is more than {schema['maximum']}"
    if isinstance(value, list) and len(value) < schema.get("minItems", 0):
        yield f"{path}: fewer than {schema['minItems']} items"


def _through_typed_models(rendered: Object) -> Object:
    """A core object read and written by the client's models, which drop what they do not know."""
    from kubernetes import client

    api = client.ApiClient(client.Configuration())
    group, _, version = rendered["apiVersion"].rpartition("/")
    names = [
        f"V{version[1:]}{rendered['kind']}",
        f"{group.split('.')[0].capitalize()}{version.upper()}{rendered['kind']}",
    ]
    model = next(getattr(client, name) for name in names if hasattr(client, name))
    typed = api._ApiClient__deserialize(json.loads(json.dumps(rendered)), model)
    again: Object = api.sanitize_for_serialization(typed)
    return again

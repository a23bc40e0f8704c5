from pathlib import Path
from typing import Any

import pytest

from slipway.catalog import Catalog, Deployment
from slipway.catalog.deployment import Parallelism, ServedAdapter
from slipway.catalog.files.loader import load
from slipway.catalog.resolved import UnresolvedRevisionError, resolve

CATALOG = load(Path(__file__).parents[3] / "catalog").catalog


def digest(**changes: Any) -> str:
    deployment = CATALOG.deployment("assistant").model_copy(update=changes)
    return resolve(CATALOG, deployment, {}).spec_digest


@pytest.mark.parametrize(
    "changes",
    [
        {"args": ("--ctx-size=4096",)},
        {"replicas": 2},
        {"env": {"A": "b"}},
        {"model": "smollm2-135m", "adapters": CATALOG.deployment("chat").adapters},
    ],
)
def test_what_the_engine_runs_with_changes_the_digest(changes: dict[str, Any]) -> None:
    assert digest(**changes) != digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"sharing": "all"},
        {"price": None},
        {"description": "new"},
        {"limits": CATALOG.deployment("chat").limits},
        {"public_names": ("meta-llama/Llama-3.1-8B-Instruct",)},
    ],
)
def test_what_only_tenants_notice_does_not(changes: dict[str, Any]) -> None:
    assert digest(**changes) == digest()


def test_a_public_name_of_an_adapter_does_not_either() -> None:
    adapter = CATALOG.adapters[0].name
    plain = ServedAdapter(adapter=adapter, served_name="b")
    named = plain.model_copy(update={"public_names": ("org/A-1.0",)})
    assert digest(adapters=(plain,)) == digest(adapters=(named,)) != digest()


def test_a_revision_is_named_after_its_digest() -> None:
    resolved = resolve(CATALOG, CATALOG.deployment("chat"), {})
    assert resolved.revision_name == f"chat-{resolved.spec_digest[:8]}"


def test_what_came_later_counts_only_where_it_says_something() -> None:
    written = resolve(CATALOG, CATALOG.deployment("assistant"), {}).engine_spec()["deployment"]
    assert {"tolerations", "parallelism"}.isdisjoint(written)
    assert "profile_accelerator" not in written["resources"]
    assert digest(parallelism=Parallelism(tensor=1)) != digest()


LISTING = "0123456789abcdef" * 4


def with_source(source: str) -> Catalog:
    model = CATALOG.models[0].model_copy(update={"source": source})
    return Catalog.model_validate(
        {**{name: getattr(CATALOG, name) for name in Catalog.model_fields}, "models": (model,)}
    )


@pytest.mark.parametrize(
    "source", ["hf://org/name@main", "ngc://org/name@1.0", "s3://bucket/prefix", "file:///models/a.gguf"]
)
def test_a_moving_source_needs_a_commit(source: str) -> None:
    catalog = with_source(source)
    deployment: Deployment = catalog.deployment("assistant")
    with pytest.raises(UnresolvedRevisionError, match="Pull its weights"):
        resolve(catalog, deployment, {})
    name = catalog.models[0].name
    first = resolve(catalog, deployment, {name: "1" * 40})
    second = resolve(catalog, deployment, {name: "2" * 40})
    assert first.model.prefix == f"weights/{name}/{'1' * 40}/"
    assert first.spec_digest != second.spec_digest


@pytest.mark.parametrize("location", ["ngc://org/name@1.0", "s3://bucket/prefix", "file:///models/a.gguf"])
def test_a_pinned_listing_needs_none(location: str) -> None:
    catalog = with_source(f"{location}@{LISTING}")
    assert resolve(catalog, catalog.deployment("assistant"), {}).model.commit == LISTING

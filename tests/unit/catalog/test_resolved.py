from pathlib import Path
from typing import Any

import pytest

from slipway.catalog import Catalog, Deployment
from slipway.catalog.loader import load
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
    ],
)
def test_what_only_tenants_notice_does_not(changes: dict[str, Any]) -> None:
    assert digest(**changes) == digest()


def test_a_revision_is_named_after_its_digest() -> None:
    resolved = resolve(CATALOG, CATALOG.deployment("chat"), {})
    assert resolved.revision_name == f"chat-{resolved.spec_digest[:8]}"


def test_a_moving_ref_needs_a_commit() -> None:
    model = CATALOG.models[0].model_copy(update={"source": "hf://org/name@main"})
    catalog = Catalog.model_validate(
        {**{name: getattr(CATALOG, name) for name in Catalog.model_fields}, "models": (model,)}
    )
    deployment: Deployment = catalog.deployment("assistant")
    with pytest.raises(UnresolvedRevisionError, match="Materialize its weights"):
        resolve(catalog, deployment, {})
    first = resolve(catalog, deployment, {model.name: "1" * 40})
    second = resolve(catalog, deployment, {model.name: "2" * 40})
    assert first.model.prefix == f"weights/{model.name}/{'1' * 40}/"
    assert first.spec_digest != second.spec_digest

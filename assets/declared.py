"""How a module declares an asset: what Dagster must know of this one, before what its group shares is added.

Belongs here: the declaration, and the decorator that makes it.
Does not: what all assets of a group have alike: pool, retries, owners, freshness (groups.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from slipway.catalog.documents import Document

# A step on this data plane waits in that data plane's pool.
DATA_PLANE_TAG = "slipway/data-plane"
MODEL_TAG = "slipway/model"


@dataclass(frozen=True)
class Declared:
    """One step and the assets that it makes. The owners of the documents it is `about` own its assets."""

    compute: Callable[..., Any]
    specs: tuple[dg.AssetSpec, ...]
    name: str
    checks: tuple[dg.AssetCheckSpec, ...] = ()
    about: tuple[Document, ...] = ()
    op_tags: Mapping[str, Any] = field(default_factory=dict)


def declared(
    *specs: dg.AssetSpec,
    name: str | None = None,
    checks: Sequence[dg.AssetCheckSpec] = (),
    about: Sequence[Document] = (),
    op_tags: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Any]], Declared]:
    """Declare what a function makes. A step has the name of its asset; one of several needs its own."""
    step = name or specs[0].key.to_python_identifier()

    def declare(compute: Callable[..., Any]) -> Declared:
        return Declared(compute, specs, step, tuple(checks), tuple(about), op_tags or {})

    return declare

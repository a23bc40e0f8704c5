"""Weights: their sources and the store behind one resource.

Belongs here: building the domain's clients, and measuring what a call took.
Does not: what a pull is (slipway.artifacts).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from resources.environment import EnvironmentResource, StoreResource
from slipway.catalog import Adapter, Model, Settings

if TYPE_CHECKING:
    from slipway.artifacts.manifest import Manifest
    from slipway.artifacts.progress import Progress


@dataclass(frozen=True)
class Pulled:
    """A published artifact, the ref that was asked for, and what it took to have it.

    `moved_bytes` came from the source in this run; the rest was in the store already.
    """

    manifest: Manifest
    source: str
    seconds: float
    moved_bytes: int


class WeightsResource(dg.ConfigurableResource[None]):
    """Pulls models and adapters from their sources into the local store."""

    environment: EnvironmentResource
    store: StoreResource
    line_every_s: float = 5.0

    def pull(self, artifact: Model | Adapter, settings: Settings, progress: Callable[[str], None]) -> Pulled:
        """Publish the artifact at its commit; harmless when it is published. Raises ArtifactError."""
        from slipway.artifacts.sources import Sources
        from slipway.artifacts.steady import Steady
        from slipway.artifacts.weights import WeightsRequest, pull

        started = time.monotonic()
        moved_bytes = 0
        lines = Steady(progress, self.line_every_s)

        def look(now: Progress) -> None:
            nonlocal moved_bytes
            moved_bytes = now.moved_bytes
            lines(now)

        sources = Sources.of(self.environment.read(), settings)
        manifest = pull(WeightsRequest.of(artifact), self.store.connect(), sources, look)
        return Pulled(manifest, artifact.source, time.monotonic() - started, moved_bytes)

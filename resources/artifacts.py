"""Weights: the hub and the store behind one resource.

Belongs here: building the domain's clients, and a steady rate of progress lines.
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

LOG_EVERY_S = 5.0


@dataclass(frozen=True)
class Pulled:
    """A published artifact, the ref that was asked for, and how long it took to have it."""

    manifest: Manifest
    source: str
    seconds: float


class WeightsResource(dg.ConfigurableResource[None]):
    """Pulls models and adapters from their sources into the local store."""

    environment: EnvironmentResource
    store: StoreResource

    def pull(self, artifact: Model | Adapter, settings: Settings, progress: Callable[[str], None]) -> Pulled:
        """Publish the artifact at its commit; harmless when it is published. Raises ArtifactError."""
        from slipway.artifacts.sources import Sources
        from slipway.artifacts.weights import WeightsRequest, pull

        started = time.monotonic()
        sources = Sources.of(self.environment.read(), settings)
        manifest = pull(WeightsRequest.of(artifact), self.store.connect(), sources, _Steady(progress))
        return Pulled(manifest, artifact.source, time.monotonic() - started)


class _Steady:
    """Passes on one line every few seconds, and the last."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._last = time.monotonic()
        self._done = False

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        complete = progress.done_files == progress.total_files
        if self._done or (now - self._last < LOG_EVERY_S and not complete):
            return
        self._last, self._done = now, complete
        eta = "" if progress.eta_s is None else f", {progress.eta_s:.0f} s to go"
        self._line(
            f"{progress.done_bytes / 1e6:.1f} of {progress.total_bytes / 1e6:.1f} MB"
            f" ({progress.fraction:.0%}), {progress.rate_bytes_per_s / 1e6:.1f} MB/s{eta}"
        )

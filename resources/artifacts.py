"""Weights: their sources and the store behind one resource.

Belongs here: building the domain's clients, and measuring what a call took.
Does not: what a pull is (slipway.artifacts).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from resources.environment import EnvironmentResource, StoreResource
from slipway.catalog import Adapter, Catalog, Model, Settings

if TYPE_CHECKING:
    from slipway.artifacts.transfer.progress import Progress
    from slipway.artifacts.weights.collection import Collected
    from slipway.artifacts.weights.manifest import Manifest
    from slipway.artifacts.weights.verification import Mismatch


@dataclass(frozen=True)
class Pulled:
    """A published artifact, the ref that was asked for, and what it took to have it.

    `moved_bytes` came from the source in this run; the rest was in the store already.
    """

    manifest: Manifest
    source: str
    seconds: float
    moved_bytes: int


@dataclass(frozen=True)
class Verified:
    """What reading published files back showed: each mismatch, and how much was read."""

    commit: str
    how: str
    mismatches: tuple[Mismatch, ...]
    read_bytes: int
    seconds: float


class WeightsResource(dg.ConfigurableResource[None]):
    """Pulls models and adapters from their sources into the local store."""

    environment: EnvironmentResource
    store: StoreResource
    line_every_s: float = 5.0

    def pull(self, artifact: Model | Adapter, settings: Settings, progress: Callable[[str], None]) -> Pulled:
        """Publish the artifact at its commit; harmless when it is published. Raises ArtifactError."""
        from slipway.artifacts.sources.by_scheme import Sources
        from slipway.artifacts.transfer.steady import Steady
        from slipway.artifacts.transfer.watch import TransferSettings
        from slipway.artifacts.weights.pull import WeightsRequest, pull

        started = time.monotonic()
        moved_bytes = 0
        lines = Steady(progress, self.line_every_s)

        def look(now: Progress) -> None:
            nonlocal moved_bytes
            moved_bytes = now.moved_bytes
            lines(now)

        environment = self.environment.read()
        sources = Sources.of(environment, settings, progress)
        transfer = TransferSettings.of(environment.variables)
        request = WeightsRequest.of(artifact)
        manifest = pull(request, self.store.connect(), sources, look, transfer, note=progress)
        return Pulled(manifest, artifact.source, time.monotonic() - started, moved_bytes)

    def verify(self, name: str, commit: str, settings: Settings, progress: Callable[[str], None]) -> Verified:
        """Read the published files back, all or some as the settings say; another sample each day.

        Raises NotPublishedError or ObjectStoreError.
        """
        from slipway.artifacts.errors import NotPublishedError
        from slipway.artifacts.transfer.steady import Steady
        from slipway.artifacts.weights.manifest import Manifest
        from slipway.artifacts.weights.verification import verify

        started, store = time.monotonic(), self.store.connect()
        manifest = Manifest.read(store, name, commit)
        if manifest is None:
            raise NotPublishedError(
                f"{name} at {commit[:8]}: not published in bucket {store.location.bucket}. "
                f"Materialize weights/{name}."
            )
        read_bytes = 0
        lines = Steady(progress, self.line_every_s)

        def look(now: Progress) -> None:
            nonlocal read_bytes
            read_bytes = now.moved_bytes
            lines(now)

        today = datetime.now(UTC).toordinal()
        mismatches = verify(manifest, store, look, settings.weights_check, seed=today)
        took_s = time.monotonic() - started
        return Verified(commit, settings.weights_check, tuple(mismatches), read_bytes, took_s)

    def collect(self, catalog: Catalog, log: Callable[[str], None]) -> Collected:
        """Remove what nobody names any more after its time of grace. Raises ArtifactError."""
        from slipway.artifacts.weights.collection import collect

        return collect(self.store.connect(), catalog, apply=True, log=log)

    def is_published(self, name: str, commit: str) -> bool:
        """Whether the store has these weights. Raises ArtifactError or ObjectStoreError."""
        from slipway.artifacts.weights.manifest import Manifest

        return Manifest.read(self.store.connect(), name, commit) is not None

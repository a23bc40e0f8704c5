"""Images: their registries, the local one and the store behind one resource.

Belongs here: building the domain's clients. Does not: what mirroring is (slipway.artifacts.images).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from resources.environment import EnvironmentResource, StoreResource
from slipway.catalog import Engine, Settings

if TYPE_CHECKING:
    from slipway.artifacts.images.mirror import Mirrored


class ImagesResource(dg.ConfigurableResource[None]):
    """Mirrors engine images into the local registry."""

    environment: EnvironmentResource
    store: StoreResource
    line_every_s: float = 5.0

    def mirror(
        self, engine: Engine, settings: Settings, progress: Callable[[str], None]
    ) -> dict[str, Mirrored]:
        """Mirror the engine's image for each accelerator; harmless when they are there.

        Raises ArtifactError, ObjectStoreError or MissingSettingError.
        """
        from slipway.artifacts.images.mirror import ImageRequest, mirror
        from slipway.artifacts.images.registries import Registries
        from slipway.artifacts.transfer.steady import Steady

        store, registries = self.store.connect(), Registries(self.environment.read(), settings)
        mirrored: dict[str, Mirrored] = {}
        for accelerator in engine.images:

            def line(text: str, accelerator: str = accelerator) -> None:
                progress(f"{accelerator}: {text}")

            lines = Steady(line, self.line_every_s)
            mirrored[accelerator] = mirror(ImageRequest.of(engine, accelerator), store, registries, lines)
            for why in mirrored[accelerator].left_out:
                line(f"warning: {why}")
        return mirrored

"""Image assets: one per engine that has images, bringing them into the local registry.

Belongs here: what Dagster must know of mirroring (key, metadata, progress in the run log).
Does not: how images are moved and verified (slipway.artifacts.images).
"""

import dagster as dg

from assets import failures, keys, kubernetes, metadata
from assets.declared import Declared, declared
from resources.images import ImagesResource
from slipway.catalog import Catalog, Engine
from slipway.catalog.resolved import digest_of


def image_assets(catalog: Catalog) -> list[Declared]:
    """One asset per engine that has images, for all its accelerators."""
    return [_image(catalog, engine) for engine in catalog.engines if engine.images]


def _image(catalog: Catalog, engine: Engine) -> Declared:
    @declared(
        dg.AssetSpec(
            keys.image(engine.name),
            description=engine.description or None,
            code_version=digest_of(engine.model_dump(mode="json", include={"images"})),
            kinds={"image", engine.server},
        ),
        about=[engine],
        op_tags=kubernetes.transfer_tags(catalog.settings),
    )
    def image(context: dg.AssetExecutionContext, images: ImagesResource) -> dg.MaterializeResult[None]:
        with failures.explained():
            mirrored = images.mirror(engine, catalog.settings, progress=context.log.info)
        return dg.MaterializeResult(metadata=metadata.of_images(mirrored))

    return image

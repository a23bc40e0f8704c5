"""What exists: the one place where catalog, assets, sensors, schedules and resources become a code location.

Belongs here: build_definitions(). Does not: anything that it assembles.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import dagster as dg

from assets.data_planes import data_plane_assets
from assets.endpoint_gateways import endpoint_gateway_assets
from assets.endpoints import endpoint_assets
from assets.garbage import garbage_assets
from assets.images import image_assets
from assets.metering import metering_assets, price_assets
from assets.replicas import replica_assets
from assets.rollouts import rollout_assets
from assets.routes import gateway_assets
from assets.weights import weights_assets, weights_checks
from pipelines import jobs, schedules
from resources.all import resources
from sensors.catalog_drift import catalog_drift
from sensors.replica_samples import replica_samples
from slipway.catalog import Catalog
from slipway.catalog.problems import CatalogError
from slipway.control.check import check_catalog
from slipway.environment import Environment


def build_definitions(
    catalog_dir: Path | None = None, overrides: dict[str, Any] | None = None
) -> dg.Definitions:
    """Assemble the code location for one catalog directory; `overrides` replace resources by name."""
    directory = catalog_dir or Environment.load().catalog_dir
    catalog = _load(directory)
    lookback_hours = (catalog or Catalog()).settings.usage_lookback_hours
    deploy = jobs.deploy(catalog) if catalog else None
    maintenance = jobs.maintenance(catalog) if catalog else None
    repair = deploy or jobs.rollup  # a sensor must name a job, although it requests none
    return dg.Definitions(
        assets=[*metering_assets(), *replica_assets(), *(_catalog_assets(catalog) if catalog else [])],
        asset_checks=weights_checks(catalog) if catalog else [],
        jobs=[jobs.rollup, *(job for job in (deploy, maintenance) if job)],
        schedules=[
            schedules.hourly_rollup(lookback_hours),
            *([schedules.daily_maintenance(maintenance)] if maintenance else []),
        ],
        sensors=[catalog_drift(directory, catalog, repair.name), replica_samples()],
        resources={**resources(), **(overrides or {})},
    )


def _catalog_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    return [
        *weights_assets(catalog),
        *image_assets(catalog),
        *garbage_assets(catalog),
        *data_plane_assets(catalog),
        *rollout_assets(catalog),
        *endpoint_assets(catalog),
        *endpoint_gateway_assets(catalog),
        *gateway_assets(catalog),
        *price_assets(catalog),
    ]


def _load(directory: Path) -> Catalog | None:
    """The catalog, or None when it has errors: metering goes on while somebody corrects it."""
    try:
        return check_catalog(directory).catalog
    except CatalogError as error:
        logging.getLogger("slipway").error("the catalog has errors; only metering is loaded:\n%s", error)
        return None


defs = build_definitions()

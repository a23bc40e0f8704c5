"""What exists: the one place where catalog, assets, sensors, schedules and resources become a code location.

Belongs here: build_definitions(). Does not: anything that it assembles.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from assets import groups as all_groups
from assets.groups import CHECKS, DEPLOY, GROUPS, ROLLUP, Group
from assets.structure import structure_of
from pipelines import overriding
from pipelines.jobs import Checks, asset_jobs
from pipelines.overriding import Job
from pipelines.schedules import (
    daily_maintenance,
    hourly_reports,
    hourly_rollup,
    monthly_invoices,
    running_hour,
)
from resources.all import resources as all_resources
from sensors.alerts import alerts
from sensors.catalog_drift import catalog_drift
from sensors.late_usage import late_usage
from sensors.replica_samples import replica_samples
from slipway.catalog import Catalog
from slipway.catalog.problems import CatalogError
from slipway.control.check import check_catalog
from slipway.environment import Environment


def build_definitions(
    catalog_dir: Path | None = None,
    *,
    groups: Sequence[Group] = GROUPS,
    assets: Iterable[dg.AssetsDefinition] = (),
    checks: Iterable[dg.AssetChecksDefinition] = (),
    jobs: Iterable[Job] = (),
    schedules: Iterable[dg.ScheduleDefinition] = (),
    sensors: Iterable[dg.SensorDefinition] = (),
    resources: Mapping[str, Any] | None = None,
    executor: dg.ExecutorDefinition | None = None,
) -> dg.Definitions:
    """Assemble the code location for one catalog directory.

    What is given besides takes the place of what has its key or name, or is added where nothing has it;
    `groups` take the place of all groups, and `executor` that of every job that is not given.
    """
    directory = catalog_dir or Environment.load().catalog_dir
    catalog, own_assets = _load(directory, groups)
    settings = (catalog or Catalog()).settings
    able = [group for group in groups if catalog is not None or not group.needs_catalog]
    own_checks: Checks = {each.job: each.checks(catalog) for each in CHECKS} if catalog else {}
    drift_sensor = catalog_drift(
        directory,
        catalog,
        job_name=DEPLOY if catalog else ROLLUP,  # a sensor must name a job, although it requests none
        structure=structure_of(own_assets),
        asset_groups=groups,
    )
    clocks = [
        hourly_rollup(settings.usage_lookback_hours),
        *([running_hour(settings.usage_refresh_minutes)] if settings.usage_refresh_minutes else []),
        hourly_reports(),
        monthly_invoices(),
        *([daily_maintenance()] if catalog else []),
    ]
    own_sensors = [
        drift_sensor,
        replica_samples(),
        late_usage(ROLLUP),
        alerts(catalog, drift_sensor.name),
    ]
    every_check = [check for of_job in own_checks.values() for check in of_job]
    return dg.Definitions(
        assets=overriding.assets(own_assets, assets),
        asset_checks=overriding.checks(every_check, checks),
        jobs=overriding.named(asset_jobs(able, own_checks, settings, executor), jobs),
        schedules=overriding.named(clocks, schedules),
        sensors=overriding.named(own_sensors, sensors),
        resources={**all_resources(), **(resources or {})},
        executor=executor,
    )


def _load(directory: Path, groups: Sequence[Group]) -> tuple[Catalog | None, list[dg.AssetsDefinition]]:
    """The catalog and its assets. None when it has errors: what needs no catalog goes on while somebody
    corrects it, and the asset of the catalog says so in red.
    """
    try:
        catalog = check_catalog(directory).catalog
        return catalog, all_groups.build(groups, catalog)
    except (CatalogError, dg.DagsterError) as error:
        logging.getLogger("slipway").error("the catalog has errors; only metering is loaded:\n%s", error)
    return None, all_groups.build([each for each in groups if not each.needs_catalog], Catalog())


defs = build_definitions()

"""The catalog-drift sensor: level-triggered, it compares what should serve with what does.

Belongs here: reading both sides, and turning decisions into a run request, a reason and alerts.
Does not: what differs (slipway.control.differences), deciding (slipway.control.drift).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from assets import catalog_documents, commits, groups
from assets.structure import Structure, check_keys, structure_of
from resources.artifacts import WeightsResource
from resources.cluster_parts import ClusterPartsResource
from resources.dataplane import DataPlaneResource
from resources.environment import EnvironmentResource
from resources.gateway import GatewayResource, TenantsResource
from resources.warehouse import WarehouseResource
from sensors.code_location import reload_in_background
from slipway.catalog import Catalog, Deployment, digests
from slipway.catalog.problems import CatalogError
from slipway.control import differences, drift
from slipway.control.check import check_catalog
from slipway.control.cluster_parts import Drift
from slipway.control.differences import Live, Told
from slipway.environment import MissingSettingError

INTERVAL_S = 5
SUBJECTS_TAG = "slipway/subjects"
REASON_TAG = "slipway/reason"
# More repairs than this wait for the next tick, so that one run stays of a size that a person can read.
MOST_REPAIRS = 20


def catalog_drift(
    directory: Path,
    loaded: Catalog | None,
    job_name: str,
    structure: Structure,
    asset_groups: Sequence[groups.Group] = groups.GROUPS,
) -> dg.SensorDefinition:
    """The sensor for one catalog directory; `loaded` is what this code location was built from.

    None means that the catalog had errors then: the sensor only waits for somebody to correct them.
    `structure` is that of the assets which these groups made of it.
    """
    location = _Loaded(loaded, structure, asset_groups)

    @dg.sensor(
        name="catalog_drift",
        job_name=job_name,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Redeploys what differs from the catalog, with the smallest selection that repairs it.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        environment: EnvironmentResource,
        data_plane: DataPlaneResource,
        gateway: GatewayResource,
        weights_store: WeightsResource,
        cluster_parts: ClusterPartsResource,
        tenants: TenantsResource,
        warehouse: WarehouseResource,
    ) -> dg.SensorResult:
        try:
            catalog = check_catalog(directory).catalog
            content = digests.of_catalog(catalog)
            lacks_assets = location.lacks_assets_of(catalog, content)
        except (CatalogError, dg.DagsterError) as error:
            location.tell(context.instance, str(error).splitlines())
            return _skip(f"The catalog has errors; nothing is changed:\n{error}")
        location.tell(context.instance, ())
        if lacks_assets:
            return _skip(_reload(environment, context))
        stores = _Stores(data_plane, gateway, tenants, warehouse, weights_store, cluster_parts)
        decided = _decided(context, catalog, stores)
        if isinstance(decided, str):
            return _skip(decided)
        if drift.quiet(decided.decisions) and not location.is_of(content):
            # Runs read the catalog themselves: only what the UI shows is out of date, so it waits for quiet.
            return _skip(_reload(environment, context))
        for alert in (each for each in decided.decisions.values() if isinstance(each, drift.Alert)):
            context.log.error(f"{alert.subject}: {alert.reason}")
        return _result(decided.decisions, decided.attempts, structure)

    return sensor


class _Stores(NamedTuple):
    """Where what is there can be asked for."""

    data_plane: DataPlaneResource
    gateway: GatewayResource
    tenants: TenantsResource
    warehouse: WarehouseResource
    weights: WeightsResource
    cluster_parts: ClusterPartsResource


class _Decided(NamedTuple):
    """What to do about each subject, and the attempts to remember."""

    decisions: Mapping[str, drift.Decision]
    attempts: Mapping[str, drift.Attempts]


def _decided(context: dg.SensorEvaluationContext, catalog: Catalog, stores: _Stores) -> _Decided | str:
    """Compare the catalog with what is there; which setting is missing, where one is."""
    now = datetime.now(UTC)
    before = _read_cursor(context.cursor)
    busy = _busy_subjects(context.instance)  # first, so that a run that ends meanwhile is waited for

    def missing_weights(deployment: Deployment) -> frozenset[str]:
        return commits.missing_weights(context.instance, catalog, deployment, stores.weights.is_published)

    try:
        live = _live(stores, stores.cluster_parts.drifts(catalog), missing_weights)
    except MissingSettingError as error:
        return str(error)
    told = differences.between(catalog, commits.all_resolved(context.instance, catalog), live, now)
    decisions = _decisions(told, before, busy, catalog.settings.drift_attempts, now)
    return _Decided(decisions, drift.after(decisions, before, now))


def _live(
    stores: _Stores, parts: Sequence[Drift], missing_weights: Callable[[Deployment], frozenset[str]]
) -> Live:
    """What is there, each store asked once. Raises MissingSettingError."""
    return Live(
        table=stores.gateway.table(),
        serving=stores.data_plane.serving(),
        orgs=stores.tenants.orgs(),
        prices=stores.warehouse.prices(),
        parts=parts,
        revision=stores.data_plane.revision,
        missing_weights=missing_weights,
    )


class _Loaded:
    """What the running code location was built from, to see whether a catalog needs another."""

    def __init__(
        self, catalog: Catalog | None, structure: Structure, asset_groups: Sequence[groups.Group]
    ) -> None:
        self._content = digests.of_catalog(catalog) if catalog else None
        self._structure = structure
        self._groups = asset_groups
        self._told: tuple[str, ...] | None = None
        # Building the assets of a catalog takes seconds where it is large: once for each edit, not each tick.
        self._compared = (self._content, False)

    def tell(self, instance: dg.DagsterInstance, problems: Sequence[str]) -> None:
        """Report the catalog's check where it says something else than before: a skipped tick is grey."""
        if self._told != tuple(problems):
            instance.report_runless_asset_event(catalog_documents.evaluation(problems))
            self._told = tuple(problems)

    def is_of(self, content: str) -> bool:
        """Whether it was built from just the catalog of this digest."""
        return content == self._content

    def lacks_assets_of(self, catalog: Catalog, content: str) -> bool:
        """Whether this catalog, of this digest, makes other assets, or some with other parents or checks."""
        if content != self._compared[0]:
            edited = structure_of(groups.build(self._groups, catalog))
            self._compared = (content, self._content is None or edited != self._structure)
        return self._compared[1]


def _decisions(
    told: Mapping[str, Told],
    before: Mapping[str, drift.Attempts],
    busy: frozenset[str],
    most: int,
    now: datetime,
) -> dict[str, drift.Decision]:
    decided = {
        name: drift.decide(outcome, name in busy, before.get(name), most, now)
        for name, outcome in told.items()
    }
    return drift.capped(decided, MOST_REPAIRS)


def _result(
    decisions: Mapping[str, drift.Decision], attempts: Mapping[str, drift.Attempts], structure: Structure
) -> dg.SensorResult:
    repairs = [each for each in decisions.values() if isinstance(each, drift.Repair)]
    others = [each for each in decisions.values() if isinstance(each, drift.Alert | drift.Wait)]
    cursor = json.dumps({name: asdict(each) for name, each in attempts.items()}, default=str)
    if not repairs:
        reason = "; ".join(f"{each.subject}: {each.reason}" for each in others)
        return dg.SensorResult(skip_reason=reason or "Everything is as the catalog says.", cursor=cursor)
    reason = "; ".join(f"{each.subject}: {each.reason} (attempt {each.attempt})" for each in repairs)
    selection = [dg.AssetKey(list(path)) for path in sorted(drift.merge(repairs))]
    request = dg.RunRequest(
        asset_selection=selection,
        # Without this, Dagster adds every check of these assets: reading all weights back, before a rollout.
        asset_check_keys=check_keys(structure, selection),
        tags={SUBJECTS_TAG: json.dumps([each.subject for each in repairs]), REASON_TAG: reason},
    )
    return dg.SensorResult(run_requests=[request], cursor=cursor)


def _skip(reason: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason)


def _reload(environment: EnvironmentResource, context: dg.SensorEvaluationContext) -> str:
    url = environment.read().get("SLIPWAY_DAGSTER_URL")
    origin = context.code_location_origin
    if url is None or origin is None:
        return "The catalog changed. Reload the code location (SLIPWAY_DAGSTER_URL lets this sensor do it)."
    reload_in_background(url, origin.location_name)
    return "The catalog changed; the code location is being loaded again."


def _busy_subjects(instance: dg.DagsterInstance) -> frozenset[str]:
    """Subjects of runs that have not ended."""
    statuses = [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    runs = instance.get_runs(dg.RunsFilter(statuses=statuses))
    return frozenset(name for run in runs for name in json.loads(run.tags.get(SUBJECTS_TAG, "[]")))


def _read_cursor(cursor: str | None) -> dict[str, drift.Attempts]:
    return {
        name: drift.Attempts(kept["digest"], kept["count"], datetime.fromisoformat(kept["last"]))
        for name, kept in json.loads(cursor or "{}").items()
    }

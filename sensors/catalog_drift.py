"""The catalog-drift sensor: level-triggered, it compares what should serve with what does.

Belongs here: reading both sides, and turning decisions into a run request, a reason and alerts.
Does not: deciding (slipway.control.drift), observing a data plane (slipway.control).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from assets import commits, groups, keys
from assets.metadata import CATALOG_DIGEST
from assets.structure import Structure, check_keys, structure_of
from resources.artifacts import WeightsResource
from resources.cluster_parts import ClusterPartsResource
from resources.dataplane import DataPlaneResource
from resources.environment import EnvironmentResource
from resources.gateway import GatewayResource
from sensors.code_location import reload_in_background
from slipway.catalog import Catalog, Deployment, digests
from slipway.catalog.problems import CatalogError
from slipway.catalog.resolved import UnresolvedRevisionError
from slipway.control import drift
from slipway.control.check import check_catalog
from slipway.control.cluster_parts import Part
from slipway.control.routing import desired_policy, routed_revisions
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
    ) -> dg.SensorResult:
        try:
            catalog = check_catalog(directory).catalog
        except CatalogError as error:
            return _skip(f"The catalog has errors; nothing is changed:\n{error}")
        if location.lacks_assets_of(catalog):
            return _skip(_reload(environment, context))
        now = datetime.now(UTC)
        before = _read_cursor(context.cursor)
        try:
            reading = _Reading(context.instance, catalog, data_plane, gateway, weights_store, cluster_parts)
        except MissingSettingError as error:
            return _skip(str(error))
        decisions = drift.capped(dict(reading.decisions(before, now)), MOST_REPAIRS)
        if drift.quiet(decisions) and not location.is_of(catalog):
            # Runs read the catalog themselves: only what the UI shows is out of date, so it waits for quiet.
            return _skip(_reload(environment, context))
        for alert in (each for each in decisions.values() if isinstance(each, drift.Alert)):
            context.log.error(f"{alert.subject}: {alert.reason}")
        return _result(decisions, drift.after(decisions, before, now), structure)

    return sensor


class _Loaded:
    """What the running code location was built from, to see whether a catalog needs another."""

    def __init__(
        self, catalog: Catalog | None, structure: Structure, asset_groups: Sequence[groups.Group]
    ) -> None:
        self._content = digests.of_catalog(catalog) if catalog else None
        self._structure = structure
        self._groups = asset_groups
        # Building the assets of a catalog takes seconds where it is large: once for each edit, not each tick.
        self._compared = (self._content, False)

    def is_of(self, catalog: Catalog) -> bool:
        """Whether it was built from just this catalog."""
        return digests.of_catalog(catalog) == self._content

    def lacks_assets_of(self, catalog: Catalog) -> bool:
        """Whether this catalog makes other assets, or the same with other parents or checks."""
        content = digests.of_catalog(catalog)
        if content != self._compared[0]:
            edited = structure_of(groups.build(self._groups, catalog))
            self._compared = (content, self._content is None or edited != self._structure)
        return self._compared[1]


class _Reading:
    """Both sides as one tick sees them: each store and cluster is asked once, not once per deployment."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        catalog: Catalog,
        data_plane: DataPlaneResource,
        gateway: GatewayResource,
        weights_store: WeightsResource,
        cluster_parts: ClusterPartsResource,
    ) -> None:
        self._instance = instance
        self._catalog = catalog
        self._data_plane = data_plane
        self._weights_store = weights_store
        self._routed = routed_revisions(gateway.table())
        self._serving = data_plane.serving()
        self._drifts = cluster_parts.drifts(catalog)
        self._busy = _busy_subjects(instance)

    def decisions(
        self, before: Mapping[str, drift.Attempts], now: datetime
    ) -> Iterator[tuple[str, drift.Decision]]:
        most = self._catalog.settings.drift_attempts
        mirrors = ((keys.ORGANIZATIONS, digests.of_organizations), (keys.PRICES, digests.of_prices))
        for key, digest_of in mirrors:
            subject = (key.path[0], key.path[1])
            name = "/".join(subject)
            recorded = commits.recorded(self._instance, key, CATALOG_DIGEST)
            busy = name in self._busy
            wanted = digest_of(self._catalog)
            yield name, drift.decide_recorded(subject, wanted, recorded, busy, before.get(name), most, now)
        for drifted in self._drifts:
            name, subject = str(drifted.part), (drifted.part.kind, drifted.part.name)
            wanted, busy = self._standing_digest(drifted.part), name in self._busy
            found = drift.decide_part(subject, wanted, drifted.reason, busy, before.get(name), most, now)
            yield name, found
        for deployment in self._catalog.deployments:
            desired = self._desired(deployment)
            observed = self._observed(deployment, desired)
            attempts = before.get(deployment.name)
            yield deployment.name, drift.decide(desired, observed, attempts, most, now)
        for name in sorted(
            {*self._routed, *self._serving} - {each.name for each in self._catalog.deployments}
        ):
            yield name, drift.decide_removed(name, name in self._busy, before.get(name), most, now)

    def _standing_digest(self, part: Part) -> str:
        if part.kind == "data_plane":
            return digests.of_data_plane(self._catalog, part.name)
        endpoint = next(each for each in self._catalog.endpoints if each.name == part.name)
        return digests.of_gateway(self._catalog, endpoint)

    def _desired(self, deployment: Deployment) -> drift.Desired:
        try:
            digest = commits.resolved(self._instance, self._catalog, deployment).spec_digest
        except UnresolvedRevisionError:
            digest = None
        return drift.Desired(deployment.name, digest, desired_policy(self._catalog, deployment))

    def _observed(self, deployment: Deployment, desired: drift.Desired) -> drift.Observed:
        routed = self._routed.get(deployment.name)
        serving = self._serving.get(deployment.name, frozenset())
        digest = desired.spec_digest
        converged = routed is not None and routed.spec_digest == digest and digest in serving
        return drift.Observed(
            # Weights and validation are asked only where something is amiss: a tick over many stays short.
            missing_weights=frozenset() if converged else self._missing_weights(deployment),
            validated=converged
            or (digest is not None and self._data_plane.validated(deployment.name, digest)),
            withdrawn=not converged
            and digest is not None
            and self._data_plane.withdrawn(deployment.name, digest),
            live=digest in serving,
            routed_spec_digest=routed.spec_digest if routed else None,
            routed_policy=routed.policy if routed else None,
            routed_is_live=routed is not None and routed.spec_digest in serving,
            busy=deployment.name in self._busy,
        )

    def _missing_weights(self, deployment: Deployment) -> frozenset[str]:
        return frozenset(
            name for name in commits.hosted(self._catalog, deployment) if not self._has_weights(name)
        )

    def _has_weights(self, name: str) -> bool:
        """As the catalog says them, and still in the store: what left the catalog was collected in time."""
        key, source = keys.weights(name), self._catalog.source(name)
        commit = commits.recorded(self._instance, key, "commit")
        if commit is None or commits.recorded(self._instance, key, "source") != source:
            return False
        return self._weights_store.is_published(name, commit)


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
        name: drift.Attempts(each["digest"], each["count"], datetime.fromisoformat(each["last"]))
        for name, each in json.loads(cursor or "{}").items()
    }

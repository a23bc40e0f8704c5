"""`slipway plan`: what the catalog wants against what routes, revisions, tenants and prices are.

Belongs here: reading what is deployed, in the same plain values as what is wanted.
Does not: comparing (slipway.control.changes), changing anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from slipway.artifacts.images.record import ImageRecords
from slipway.catalog import Catalog, Deployment, Model, ResolvedDeployment, data_planes
from slipway.catalog.resolved import resolve
from slipway.control import routing
from slipway.control.changes import Change, plan
from slipway.control.fit import known_weights
from slipway.control.fit import models as fitting
from slipway.control.fit.known_weights import KnownWeights
from slipway.environment import Environment
from slipway.metering import prices, queries
from slipway.metering.prices import PriceRow
from slipway.metering.published import PublishedCopy
from slipway.objectstore import ObjectStore
from slipway.records import routes
from slipway.records.revisions import Revision, RevisionStore
from slipway.records.routes import Route, RouteTable
from slipway.tenants import TenantsDatabase


def deployed_changes(catalog: Catalog, environment: Environment) -> list[Change]:
    """Every difference, object by object; Kubernetes clusters are asked by server-side dry runs.

    Raises ObjectStoreError, TenantsDatabaseError, and DataPlaneUnreachableError.
    """
    store = ObjectStore(environment.s3)
    body = store.get(routes.KEY)
    table = routes.parse(body) if body is not None else routes.build([])
    live = _live_revisions(table, RevisionStore(store))
    images = _mirrored(catalog, ImageRecords(store))
    resolved = {
        each.name: _resolved(catalog, each, live.get(each.name), images) for each in catalog.deployments
    }
    wanted = {each.name: _wanted(catalog, resolved[each.name]) for each in catalog.deployments}
    deployed = {name: _deployed(table, revision) for name, revision in live.items()}
    orgs: dict[str, Any] = {org.name: {} for org in catalog.organizations}
    return [
        *plan("Deployment", wanted, deployed),
        *plan("Organization", orgs, {name: {} for name in _known_orgs(environment)}),
        *plan("Price", *_price_tables(catalog, environment)),
        *_unfitting(catalog, environment, store, resolved),
        *_on_clusters(catalog, environment, store, resolved),
    ]


def _unfitting(
    catalog: Catalog, environment: Environment, store: ObjectStore, wanted: Mapping[str, ResolvedDeployment]
) -> Iterable[Change]:
    """Deployments whose published weights cannot fit; what is read is kept for `slipway check`."""
    commits = {each.model.name: each.model.commit for each in wanted.values()}

    def known(model: Model) -> KnownWeights | None:
        return known_weights.in_store(store, model.name, commits[model.name])

    for name, message in fitting.refusals(catalog, fitting.keeping(environment.home, known)):
        yield Change("refused", "Deployment", name, detail=(f"resources.gpu.memory: {message}.",))


def _on_clusters(
    catalog: Catalog, environment: Environment, store: ObjectStore, wanted: Mapping[str, ResolvedDeployment]
) -> Iterable[Change]:
    """Nothing is asked where all is on plain Ray."""
    if not data_planes.kubernetes(catalog):
        return ()
    from slipway.control import cluster_plans
    from slipway.dataplane.planes.connected import connected

    return cluster_plans.changes(connected(environment, revisions=RevisionStore(store)), catalog, wanted)


def _live_revisions(table: RouteTable, revisions: RevisionStore) -> dict[str, Revision]:
    routed = routing.routed_revisions(table)
    found = {name: revisions.get(name, each.spec_digest) for name, each in routed.items()}
    return {name: revision for name, revision in found.items() if revision is not None}


def _mirrored(catalog: Catalog, records: ImageRecords) -> dict[tuple[str, str], str]:
    """The image of each engine and accelerator of deployments on Kubernetes, as it was mirrored last."""
    found: dict[tuple[str, str], str] = {}
    for key in {(d.engine, d.accelerator) for d in catalog.deployments if data_planes.is_on_kubernetes(d)}:
        image = catalog.engine(key[0]).images.get(key[1])
        if image is None:
            continue
        known = (
            records.get(*key, image.digest) if image.digest else records.latest(*key, image.image, image.tag)
        )
        if known is not None:
            found[key] = known.reference
    return found


def _resolved(
    catalog: Catalog, deployment: Deployment, live: Revision | None, images: Mapping[tuple[str, str], str]
) -> ResolvedDeployment:
    # A moving ref counts as where it was last seen: only a new pull can tell that it moved.
    commits = {each["name"]: each["commit"] for each in _artifacts(live)} if live else {}
    unseen = dict.fromkeys((deployment.model, *(a.adapter for a in deployment.adapters)), "unknown")
    on_kubernetes = data_planes.is_on_kubernetes(deployment)
    return resolve(catalog, deployment, {**unseen, **commits}, images if on_kubernetes else None)


def _wanted(catalog: Catalog, resolved: ResolvedDeployment) -> dict[str, Any]:
    target = routing.Target("any", "http://any/v1")
    return _comparable(resolved, routing.routes_of(catalog, resolved.deployment, target))


def _deployed(table: RouteTable, revision: Revision) -> dict[str, Any]:
    resolved = ResolvedDeployment.model_validate(revision.spec)
    return _comparable(resolved, [each for each in table.routes if each.deployment == revision.deployment])


def _comparable(resolved: ResolvedDeployment, told: list[Route]) -> dict[str, Any]:
    names = {each.model: each.model_dump(mode="json", include={"sharing", "limits", "task"}) for each in told}
    return {**resolved.engine_spec(), "routes": names}


def _artifacts(revision: Revision) -> list[dict[str, Any]]:
    return [revision.spec["model"], *revision.spec["adapters"]]


def _price_tables(catalog: Catalog, environment: Environment) -> tuple[dict[str, Any], dict[str, Any]]:
    """The price rows that the catalog makes of those in force, and those: by deployment and version."""
    copy = PublishedCopy(environment.warehouse_dir)
    existing = queries.prices(copy) if copy.path.exists() else []
    wanted = prices.merge(existing, prices.schedules(catalog), datetime.now(UTC))
    return _by_version(wanted), _by_version(existing)


def _by_version(rows: Iterable[PriceRow]) -> dict[str, Any]:
    return {
        f"{row.deployment} {row.version}": {
            **row.terms(),
            "effective_to": row.effective_to.isoformat() if row.effective_to else None,
        }
        for row in rows
    }


def _known_orgs(environment: Environment) -> list[str]:
    database = TenantsDatabase(environment.tenants_db_url)
    database.migrate()
    return database.orgs()

"""`slipway plan`: what would change, object by object and field by field.

Belongs here: saying each difference (differences.py) in the plain values of what is wanted and deployed.
Does not: whether something differs (differences.py), objects of a cluster (cluster_plans.py), any change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from slipway.artifacts.images.record import ImageRecords
from slipway.artifacts.weights.manifest import Manifest
from slipway.catalog import Catalog, Deployment, Model, ResolvedDeployment, data_planes
from slipway.catalog.resolved import resolve
from slipway.control import cluster_plans, differences, observing, routing
from slipway.control.changes import Change, FieldChange, plan
from slipway.control.connections import Connections
from slipway.control.differences import Difference, Live, Lost, Told, Untold
from slipway.control.fit import known_formats, known_weights
from slipway.control.fit import models as fitting
from slipway.control.fit.known_weights import KnownWeights
from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from slipway.records.price_history import PriceRow
from slipway.records.revisions import Revision, RevisionStore
from slipway.records.routes import Route, RouteTable
from slipway.runtimes.arguments import loading

_KINDS = {"organizations": "Organization", "prices": "Price"}


def deployed_changes(catalog: Catalog, environment: Environment) -> list[Change]:
    """Every difference, object by object; Kubernetes clusters are asked by server-side dry runs.

    Raises ObjectStoreError, RouteTableError, TenantsDatabaseError, WarehouseError and
    DataPlaneUnreachableError.
    """
    at, now = Connections(environment), datetime.now(UTC)
    table = at.routes.latest().table
    routed = _routed_revisions(table, at.revisions)
    images = _mirrored(catalog, ImageRecords(at.store))
    resolved = {
        deployment.name: _resolved(catalog, deployment, routed.get(deployment.name), images)
        for deployment in catalog.deployments
    }
    live = observing.live(
        at, catalog, lambda deployment: _missing(at.store, resolved[deployment.name]), confirmed=True
    )
    told = differences.between(catalog, resolved, live, now)
    return [
        *changes_of(catalog, resolved, routed, live, told, now),
        *_unfitting(catalog, environment, at.store, resolved, told),
        *cluster_plans.part_changes(live.parts),
        *cluster_plans.application_changes(at, catalog, resolved, _to_be_there(resolved, live, told)),
    ]


def changes_of(
    catalog: Catalog,
    resolved: Mapping[str, ResolvedDeployment],
    routed: Mapping[str, Revision],
    live: Live,
    told: Mapping[str, Told],
    now: datetime,
) -> Iterator[Change]:
    """Each difference as changes, at least one; of what stands around deployments see cluster_plans.

    `routed` holds the recorded revision that each deployment's route leads to. What could not be read is
    raised.
    """
    for outcome in told.values():
        if isinstance(outcome, Untold):
            raise outcome.error
    by_name = {each.name: each for each in catalog.deployments}
    for differs in sorted(differences.differing(told), key=lambda each: (each.kind, each.subject)):
        if differs.kind in ("deployment", "removed"):
            deployment = by_name.get(differs.subject)
            yield _deployment(catalog, deployment, resolved, routed, live.table, differs)
        elif differs.refusals:
            yield Change("refused", _KINDS[differs.kind], differs.subject, detail=differs.refusals)
        elif differs.kind == "organizations":
            yield from _or_reason(_organizations(catalog, live), "Organization", differs)
        elif differs.kind == "prices":
            yield from _or_reason(_prices(catalog, live, now), "Price", differs)


def _or_reason(changes: list[Change], kind: str, differs: Difference) -> list[Change]:
    """These changes; where fields do not show the difference, its reason is one."""
    return changes or [Change("update", kind, differs.subject, detail=(differs.reason,))]


def _deployment(
    catalog: Catalog,
    deployment: Deployment | None,
    resolved: Mapping[str, ResolvedDeployment],
    routed: Mapping[str, Revision],
    table: RouteTable,
    differs: Difference,
) -> Change:
    name = differs.subject
    if deployment is None:
        return Change("delete", "Deployment", name)
    if name not in routing.routed_digests(table):
        return Change("create", "Deployment", name)
    fields: tuple[FieldChange, ...] = ()
    if name in routed and name in resolved:
        wanted, deployed = _wanted(catalog, resolved[name]), _deployed(table, routed[name])
        fields = tuple(
            field
            for change in plan("Deployment", {name: wanted}, {name: deployed})
            for field in change.fields
        )
    return Change("update", "Deployment", name, fields, () if fields else (differs.reason,))


def _organizations(catalog: Catalog, live: Live) -> list[Change]:
    assert not isinstance(live.orgs, Untold | Lost)
    wanted: dict[str, Any] = {org.name: {} for org in catalog.organizations}
    return plan("Organization", wanted, {name: {} for name in live.orgs or ()})


def _prices(catalog: Catalog, live: Live, now: datetime) -> list[Change]:
    """The price rows that the catalog makes of those taken, by deployment and version."""
    assert not isinstance(live.prices, Untold)
    wanted = differences.wanted_prices(catalog, live.prices, now)
    return plan("Price", _by_version(wanted), _by_version(live.prices.taken))


def _unfitting(
    catalog: Catalog,
    environment: Environment,
    store: ObjectStore,
    resolved: Mapping[str, ResolvedDeployment],
    told: Mapping[str, Told],
) -> Iterable[Change]:
    """Deployments to bring whose published weights cannot fit, or cannot be loaded.

    What is read is kept for `slipway check`.
    """
    commits = {each.model.name: each.model.commit for each in resolved.values()}

    def known(model: Model) -> KnownWeights | None:
        return known_weights.in_store(store, model.name, commits[model.name])

    def formats(model: Model) -> frozenset[loading.Format]:
        manifest = Manifest.read(store, model.name, commits[model.name])
        if manifest is None:
            return known_formats.offline(model, environment.home)
        known_formats.keep(environment.home, model, (each.path for each in manifest.files))
        return known_formats.of_manifest(manifest)

    for name, message in known_formats.refusals(catalog, formats):
        if isinstance(told.get(name), Difference):
            yield Change("refused", "Deployment", name, detail=(f"model: {message}.",))
    for name, message in fitting.refusals(catalog, fitting.keeping(environment.home, known)):
        if isinstance(told.get(name), Difference):  # what serves does fit
            yield Change("refused", "Deployment", name, detail=(f"resources.gpu.memory: {message}.",))


def _to_be_there(
    resolved: Mapping[str, ResolvedDeployment], live: Live, told: Mapping[str, Told]
) -> frozenset[str]:
    """Deployments whose spec is, or is to be, on a data plane: not one that was taken back by hand."""
    return frozenset(
        name
        for name, spec in resolved.items()
        if told[name] is not None
        or (name in live.routed and live.routed[name].spec_digest == spec.spec_digest)
    )


def _missing(store: ObjectStore, resolved: ResolvedDeployment) -> frozenset[str]:
    artifacts = (resolved.model, *resolved.adapters)
    return frozenset(each.name for each in artifacts if Manifest.read_prefix(store, each.prefix) is None)


def _routed_revisions(table: RouteTable, revisions: RevisionStore) -> dict[str, Revision]:
    routed = routing.routed_digests(table)
    records = {name: revisions.get(name, digest) for name, digest in routed.items()}
    return {name: record for name, record in records.items() if record is not None}


def _mirrored(catalog: Catalog, records: ImageRecords) -> dict[tuple[str, str], str]:
    """The image of each engine and accelerator of deployments on Kubernetes, as it was mirrored last."""
    references: dict[tuple[str, str], str] = {}
    for key in {(d.engine, d.accelerator) for d in catalog.deployments if data_planes.is_on_kubernetes(d)}:
        image = catalog.engine(key[0]).images.get(key[1])
        if image is None:
            continue
        known = (
            records.get(*key, image.digest) if image.digest else records.latest(*key, image.image, image.tag)
        )
        if known is not None:
            references[key] = known.reference
    return references


def _resolved(
    catalog: Catalog, deployment: Deployment, live: Revision | None, images: Mapping[tuple[str, str], str]
) -> ResolvedDeployment:
    # A moving ref counts as where it was last seen: only a new pull can tell that it moved.
    commits = dict(live.artifacts) if live else {}
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


def _by_version(rows: Iterable[PriceRow]) -> dict[str, Any]:
    return {
        f"{row.deployment} {row.version}": {
            **row.terms(),
            "effective_to": row.effective_to.isoformat() if row.effective_to else None,
        }
        for row in rows
    }

"""Routing and retiring, with records and routes in a real store and a fake data plane."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.catalog import Catalog
from slipway.catalog.resolved import ResolvedDeployment, resolve
from slipway.control import routing, stages
from slipway.control.connections import Connections
from slipway.control.stages import NotRolledOutError
from slipway.dataplane.protocol import LiveApplication
from slipway.environment import Environment
from slipway.objectstore import ObjectStore
from slipway.records import revisions
from slipway.records.revisions import Applied, Revision
from testbed import stores

from .fake_plane import FakePlane

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def catalog_of(number: int) -> Catalog:
    return Catalog.model_validate(
        {
            "models": [{"name": "m", "source": f"hf://o/m@{'1' * 40}"}],
            "engines": [{"name": "e", "server": "llama.cpp"}],
            "deployments": [
                {"name": "chat", "model": "m", "runtime": "ray", "engine": "e", "env": {"N": str(number)}}
            ],
        }
    )


def spec(number: int) -> ResolvedDeployment:
    return resolve(catalog_of(number), catalog_of(number).deployments[0], {})


@pytest.fixture
def plane() -> FakePlane:
    return FakePlane()


@pytest.fixture
def at(store: ObjectStore, tmp_path: Path, plane: FakePlane) -> Connections:
    connected = Connections(Environment(stores.variables(store.location), tmp_path))
    connected.__dict__["planes"] = plane
    return connected


def bring(at: Connections, plane: FakePlane, number: int, *, validated: bool = True) -> Revision:
    """As a rollout and its validation leave a spec."""
    resolved, when = spec(number), NOON + timedelta(minutes=number)
    applied = Applied(resolved.revision_name, "chat", resolved.spec_digest, {})
    record = revisions.of(resolved, applied, f"http://chat-{number}/v1", when)
    live = LiveApplication(
        record.application, "chat", record.spec_digest, record.upstream, "serving", "", 1, 1, True
    )
    plane.there.append(live)
    return at.revisions.put(revisions.validated(record, (), when) if validated else record)


def route(at: Connections, number: int) -> Any:
    return stages.route(at, catalog_of(number), lambda _: None)


def test_only_what_was_validated_is_routed_and_stable_names_follow(at: Connections, plane: FakePlane) -> None:
    good = bring(at, plane, 1)
    bring(at, plane, 2, validated=False)
    published = route(at, 2)
    assert (published.number, routing.routed_digests(published.table)) == (1, {"chat": good.spec_digest})
    assert published.table.by_model["chat"].upstreams == ("http://chat-1/v1",)
    assert plane.published == [good.spec_digest]
    assert route(at, 2).number == 1  # the same again is not another table


def test_records_are_read_again_when_another_writer_was_first(
    at: Connections, plane: FakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the table is made, a second revision is validated and routed by somebody else."""
    bring(at, plane, 1)
    made = routing.table_of
    newer: list[Revision] = []

    def table_of(catalog: Catalog, targets: Any) -> Any:
        stale = made(catalog, targets)
        if not newer:
            newer.append(bring(at, plane, 2))
            at.routes.change(lambda _: made(catalog, {"chat": routing.target_of(newer[0])}))
        return stale

    monkeypatch.setattr(routing, "table_of", table_of)
    published = route(at, 2)
    assert routing.routed_digests(published.table) == {"chat": newer[0].spec_digest}


def test_what_no_route_names_is_retired_and_what_is_rolled_out_stays(
    at: Connections, plane: FakePlane
) -> None:
    old, good = bring(at, plane, 1), bring(at, plane, 2)
    coming = bring(at, plane, 3, validated=False)
    table = route(at, 3).table
    retired = stages.retire(at, catalog_of(3), table, {"chat": coming.spec_digest}, lambda _: None)
    assert set(retired) == plane.removed == {old.application}
    assert routing.routed_digests(table) == {"chat": good.spec_digest}


def test_what_somebody_went_back_to_meanwhile_is_not_retired(at: Connections, plane: FakePlane) -> None:
    """The table that this run published names the newer one, a later table the older one."""
    old, good = bring(at, plane, 1), bring(at, plane, 2)
    table = route(at, 2).table
    catalog = catalog_of(2)
    back = routing.target_of(old)
    at.routes.change(lambda now: routing.switched(now, catalog, catalog.deployments[0], back))
    assert stages.retire(at, catalog, table, {"chat": good.spec_digest}, lambda _: None) == ()
    assert plane.removed == set()


def test_a_spec_that_was_taken_back_by_hand_is_retired_though_the_catalog_names_it(
    at: Connections, plane: FakePlane
) -> None:
    bring(at, plane, 1)
    newer = bring(at, plane, 2)
    at.revisions.put(replace(newer, state="withdrawn"))
    table = route(at, 2).table
    stages.retire(at, catalog_of(2), table, {"chat": newer.spec_digest}, lambda _: None)
    assert plane.removed == {newer.application}


def test_a_deployment_that_left_the_catalog_loses_its_route_its_applications_and_its_records(
    at: Connections, plane: FakePlane
) -> None:
    gone = bring(at, plane, 1)
    route(at, 1)
    empty = Catalog()
    published = stages.route(at, empty, lambda _: None)
    assert published.table.routes == ()
    assert stages.retire(at, empty, published.table, {}, lambda _: None) == (gone.application,)
    assert list(at.revisions.everything()) == []


def test_what_was_never_rolled_out_cannot_be_validated(at: Connections) -> None:
    with pytest.raises(
        NotRolledOutError, match=f"spec {spec(1).spec_digest[:8]} was not rolled out"
    ) as raised:
        stages.validate(at, spec(1), lambda _: None)
    assert raised.value.deployment == "chat"

"""Promises of a rollout on Kubernetes, from Dagster's assets to a bill, with the real engine and gateway."""

import re
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from kubernetes.client import ApiClient, AppsV1Api

from assets import keys
from assets.partitions import key_of
from slipway.control.changes import Change
from slipway.control.check import check_catalog
from slipway.control.plans import deployed_changes
from slipway.environment import Environment
from slipway.metering import queries
from slipway.metering.published import PublishedCopy
from slipway.runtimes.rendering import identity
from slipway.stack.demo.traffic import Client, Seen
from testbed.cluster.objects import eventually

from . import deploying
from .conftest import NONSENSE, flowing
from .world import PRICE, World

NO_IMAGE = {"cpu": {"image": "registry.slipway.test/venv/engine", "digest": f"sha256:{'0' * 64}"}}


def test_a_model_goes_from_the_catalog_to_pods_to_a_bill(deployed: World, client: Client) -> None:
    assert deployed.serving() == {deployed.routed()}
    record = deployed.revisions.get("chat", deployed.routed())
    assert record is not None
    assert record.state == "validated"
    answers = [client.complete("chat", "The capital of France is", max_tokens=4) for _ in range(5)]
    assert [(each.status, "Paris" in each.text) for each in answers] == [(200, True)] * 5

    bill = rolled_up(deployed)
    assert bill.requests == len(client.seen)
    assert Decimal(bill.cost or 0) == cost(client.seen)


def rolled_up(world: World) -> queries.Bill:
    """What acme owes for this hour; what had no price (a model that does not exist) is not in it."""
    _ship(world)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    chain = [keys.REQUESTS, keys.LATENCY, keys.USAGE, keys.COST]
    for selection, partition in (([keys.PRICES], None), (chain, key_of(hour))):
        result = deploying.materialize(world.catalog, world.variables, selection, partition)
        assert result.success, deploying.failures(result)
    copy = PublishedCopy(Environment.load(world.variables).warehouse_dir)
    bills = queries.bills(copy, hour, hour + timedelta(hours=1), "acme")
    return next(each for each in bills if each.currency == "EUR")


def _ship(world: World) -> None:
    """What the gateway does each minute, now."""
    token = world.variables["SLIPWAY_GATEWAY_TOKEN"]
    url = f"{world.variables['SLIPWAY_GATEWAY_URLS']}/-/ship"
    request = urllib.request.Request(url, b"", {"authorization": f"Bearer {token}"})
    urllib.request.urlopen(request, timeout=30).close()


def cost(seen: Iterable[Seen]) -> Decimal:
    """Tokens as their client counted them, times the price per million."""
    prices = {name: Decimal(PRICE[name]) for name in ("input", "cached_input", "output")}
    total = sum(
        (each.input - each.cached) * prices["input"]
        + each.cached * prices["cached_input"]
        + each.output * prices["output"]
        for each in seen
    )
    return Decimal(total) / 10**6


def test_a_rollout_under_twenty_requests_a_second_fails_none(deployed: World, client: Client) -> None:
    before = deployed.routed()
    with flowing(client) as seen:
        result = deployed.deploy(args=["--ctx-size=768", "--parallel=2"])
    assert result.success, deploying.failures(result)
    assert deployed.routed() != before
    assert deployed.serving() == {deployed.routed()}
    assert [each for each in seen if each.status != 200] == []
    assert len(seen) > 100


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        pytest.param(
            {"engine_fields": {"images": NO_IMAGE}}, "ErrImagePull|ImagePullBackOff", id="bad-image"
        ),
        pytest.param({"args": ["--no-such=1"]}, "--no-such", id="bad-argument"),
        pytest.param({"nonsense": True}, "usage_reported: The completion reports no usage", id="nonsense"),
    ],
)
def test_what_is_not_good_never_reaches_a_tenant(
    deployed: World, client: Client, nonsense_engine: Mapping[str, Any], edit: dict[str, Any], cause: str
) -> None:
    # Weights for llama.cpp, which a vLLM would not load.
    nonsense = {"engine_fields": nonsense_engine, "args": ["--load-format=dummy"]}
    fields = nonsense if edit == {"nonsense": True} else edit
    before = deployed.routed()
    with flowing(client) as seen:
        result = deployed.deploy(**{"rollout": {"deadline_s": 15, "drain_s": 20}, **fields})
    assert not result.success
    assert re.search(cause, deploying.failures(result)), deploying.failures(result)
    assert deployed.routed() == before
    assert deployed.applications() == {before}
    assert [each for each in seen if each.status != 200 or NONSENSE in each.text] == []
    assert len(seen) > 50


def planned(world: World) -> list[Change]:
    """What `slipway plan` says of a cluster's objects."""
    changes = deployed_changes(check_catalog(world.catalog).catalog, Environment.load(world.variables))
    return [each for each in changes if each.kind in ("Application", "DataPlane", "Gateway")]


def test_edits_by_hand_are_shown_and_put_right_by_the_next_run(
    deployed: World, client: Client, api: ApiClient
) -> None:
    assert deployed.deploy().success
    wanted = deployed.plane.render(deployed.resolved())
    foreign = f"registry.slipway.test/venv/gateway@sha256:{'0' * 64}"
    edits: list[dict[str, Any]] = [
        {"spec": {"replicas": 2}},
        {"spec": {"template": {"spec": {"containers": [{"name": "engine", "image": foreign}]}}}},
        {"metadata": {"labels": {identity.NAME: "mine"}}},
    ]
    for body in edits:
        AppsV1Api(api).patch_namespaced_deployment(
            wanted.application, deployed.namespace, body, field_manager="kubectl-edit"
        )
    shown = "\n".join(deployed.plane.diff(wanted).detail)
    assert "spec.replicas: 2 -> 1 (changed by kubectl-edit)" in shown
    assert f"image: {foreign} -> " in shown
    assert f"metadata.labels.{identity.NAME}: mine -> llama-cpp (changed by kubectl-edit)" in shown
    assert [(each.action, "\n".join(each.detail)) for each in planned(deployed)] == [("update", shown)]

    result = deployed.deploy()
    assert result.success, deploying.failures(result)
    assert deployed.plane.diff(wanted).action == "none"
    assert planned(deployed) == []
    assert deployed.serving() == {deployed.routed()} == {wanted.spec_digest}
    assert client.complete("chat", "The capital of France is", max_tokens=4).status == 200


def test_in_place_a_spec_that_is_refused_gives_way_to_the_last_good_one(
    deployed: World, client: Client
) -> None:
    in_place = {"strategy": "in-place", "surge": 1, "deadline_s": 60, "drain_s": 5}
    result = deployed.deploy(rollout=in_place)
    assert result.success, deploying.failures(result)
    before = deployed.routed()
    with flowing(client) as seen:
        result = deployed.deploy(rollout={**in_place, "deadline_s": 15}, args=["--no-such=1"])
    assert not result.success
    assert "applied again and serves" in deploying.failures(result)
    assert (deployed.routed(), deployed.applications()) == (before, {before})
    assert [each for each in seen if each.status != 200] == []


# The last, as the node needs a while to find back. An API server that is away takes the others along: they
# lose their lease, end, and are started again.
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
AWAY_S = 60


@pytest.mark.timeout(420)
def test_a_control_plane_that_is_away_for_a_minute_delays_a_rollout_and_fails_no_request(
    deployed: World, client: Client, without: Callable[..., AbstractContextManager[None]]
) -> None:
    before = deployed.routed()
    deployed.write(args=["--ctx-size=640", "--parallel=2"], rollout={"deadline_s": 240, "drain_s": 20})
    wanted = deployed.resolved().spec_digest
    with ThreadPoolExecutor(1) as pool, flowing(client, per_second=5) as seen:
        run = pool.submit(deploying.deploy, deployed.catalog, deployed.variables)
        eventually(lambda: wanted in deployed.pod_digests(), "the new revision's pod is made")
        with without(*CONTROL_PLANE):
            time.sleep(AWAY_S)  # the promise is about a minute, so it takes one
            assert not run.done(), deploying.failures(run.result())
            assert deployed.routed() == before
        result = run.result(timeout=240)  # two minutes of them for kube-proxy
    assert result.success, deploying.failures(result)
    assert (deployed.routed(), deployed.serving()) == (wanted, {wanted})
    assert [each for each in seen if each.status != 200] == []
    assert len(seen) > 5 * AWAY_S / 2

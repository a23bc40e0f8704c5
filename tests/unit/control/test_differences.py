"""What differs, state by state: the plan shows a change exactly where drift repair would act."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway.catalog import Catalog
from slipway.control import differences, drift, plans
from slipway.control.cluster_parts import Drift, Part
from slipway.control.cluster_plans import part_changes
from slipway.control.differences import Difference, Lost, Prices, Untold
from slipway.metering import prices
from slipway.metering.prices import ClosedPriceError
from slipway.records.price_history import PriceRow

from .states import (
    CATALOG,
    NOW,
    OLD,
    OLDER,
    WANTED,
    State,
    catalog_of,
    price_rows,
    record,
    routed_to,
    spec,
    taken,
)


def planned(state: State, catalog: Catalog = CATALOG) -> list[tuple[str, str, str]]:
    """What `slipway plan` says, of this very state."""
    by_digest = {each.spec_digest: each for each in state.records}
    routed = {
        each.deployment: by_digest[each.revision] for each in state.routes if each.revision in by_digest
    }
    told = state.told(catalog)
    changes = [
        *plans.changes_of(catalog, {"chat": spec(catalog)}, routed, state.live(), told, NOW),
        *part_changes(state.parts),
    ]
    return [(each.action, each.kind, each.name) for each in changes]


def repaired(state: State, catalog: Catalog = CATALOG) -> dict[str, frozenset[tuple[str, str]]]:
    """What the drift sensor asks for, of this very state, by subject."""
    decided = {name: drift.decide(each, False, None, 3, NOW) for name, each in state.told(catalog).items()}
    return {name: each.selection for name, each in decided.items() if isinstance(each, drift.Repair)}


ROUTES = ("gateway", "routes")
SERVE = frozenset({("rollout", "chat"), ("endpoint", "chat"), ROUTES})
ONLY_ROUTES = frozenset({ROUTES})
BOTH = frozenset({WANTED, OLD})
UPDATE = ("update", "Deployment", "chat")
TAKE_PRICES = {"billing/prices": frozenset({("billing", "prices")})}
TROUBLE = "the cluster does not answer"


def in_january(**changes: Any) -> tuple[PriceRow, ...]:
    """The catalog's prices, taken in a month that is closed, with these fields."""
    january = datetime(2026, 1, 1, tzinfo=UTC)
    at_first = {"effective_from": january, "assigned_from": january}
    return tuple(replace(row, **{**at_first, **changes}) for row in price_rows())


# What is there; what repair asks for, by subject; what the plan shows. Empty means: all is as it should be.
TABLE: dict[str, tuple[State, dict[str, frozenset[tuple[str, str]]], list[tuple[str, str, str]]]] = {
    "converged": (State(), {}, []),
    "converged, no data plane told of": (State(serving=None), {}, []),
    "converged, its record lost": (State(records=()), {}, []),
    "converged, its weights collected": (State(missing=frozenset({"m"})), {}, []),
    "nothing there": (
        State(routes=(), serving={}, records=()),
        {"chat": SERVE},
        [("create", "Deployment", "chat")],
    ),
    "nothing there, weights missing": (
        State(routes=(), serving={}, records=(), missing=frozenset({"m"})),
        {"chat": SERVE | {("weights", "m")}},
        [("create", "Deployment", "chat")],
    ),
    "an older spec routed": (
        State(
            routes=routed_to(OLD), serving={"chat": frozenset({OLD})}, records=(record("validated", OLDER),)
        ),
        {"chat": SERVE},
        [UPDATE],
    ),
    "rolled out and not validated": (
        State(
            routes=routed_to(OLD),
            serving={"chat": BOTH},
            records=(record("applied"), record("validated", OLDER)),
        ),
        {"chat": SERVE},
        [UPDATE],
    ),
    "validated and not routed": (
        State(routes=routed_to(OLD), serving={"chat": BOTH}),
        {"chat": ONLY_ROUTES},
        [UPDATE],
    ),
    "validated and routed nowhere": (
        State(routes=()),
        {"chat": ONLY_ROUTES},
        [("create", "Deployment", "chat")],
    ),
    "routed and not serving": (State(serving={}), {"chat": SERVE}, [UPDATE]),
    "failed, the older one serves": (
        State(
            routes=routed_to(OLD),
            serving={"chat": frozenset({OLD})},
            records=(record("failed"), record("validated", OLDER)),
        ),
        {"chat": SERVE},
        [UPDATE],
    ),
    "taken back by hand": (
        State(
            routes=routed_to(OLD),
            serving={"chat": frozenset({OLD})},
            records=(record("withdrawn"), record("validated", OLDER)),
        ),
        {},
        [],
    ),
    "taken back by hand, its weights collected": (
        State(
            routes=routed_to(OLD),
            serving={"chat": frozenset({OLD})},
            records=(record("withdrawn"), record("validated", OLDER)),
            missing=frozenset({"m"}),
        ),
        {},
        [],
    ),
    "taken back by hand, what replaced it is lost": (
        State(routes=routed_to(OLD), serving={}, records=(record("withdrawn"), record("validated", OLDER))),
        {"chat": SERVE},
        [UPDATE],
    ),
    "shared otherwise than the route says": (
        State(routes=routed_to(WANTED, catalog_of(sharing="all"))),
        {"chat": ONLY_ROUTES},
        [UPDATE],
    ),
    "removed, routed": (
        State(
            routes=(
                *routed_to(WANTED),
                routed_to(WANTED)[0].model_copy(update={"model": "g", "deployment": "g"}),
            )
        ),
        {"g": ONLY_ROUTES},
        [("delete", "Deployment", "g")],
    ),
    "removed, still serving": (
        State(serving={"chat": frozenset({WANTED}), "g": frozenset({"1"})}),
        {"g": ONLY_ROUTES},
        [("delete", "Deployment", "g")],
    ),
    "an organisation missing": (
        State(orgs=frozenset()),
        {"tenants/organizations": frozenset({("tenants", "organizations")})},
        [("create", "Organization", "acme")],
    ),
    "an organisation too many": (
        State(orgs=frozenset({"acme", "gone"})),
        {"tenants/organizations": frozenset({("tenants", "organizations")})},
        [("delete", "Organization", "gone")],
    ),
    "no tenants' database": (
        State(orgs=None),
        {"tenants/organizations": frozenset({("tenants", "organizations")})},
        [("create", "Organization", "acme")],
    ),
    "an empty price history": (
        State(prices=taken(())),
        TAKE_PRICES,
        [("create", "Price", "chat p@2026-03-01T00:00:00Z")],
    ),
    "nothing taken, nothing published by metering": (
        State(prices=Prices(None, None)),
        TAKE_PRICES,
        [("create", "Price", "chat p@2026-03-01T00:00:00Z")],
    ),
    "no catalog has a price, and none was ever taken": (
        State(prices=Prices(None, ())),
        TAKE_PRICES,
        [("create", "Price", "chat p@2026-03-01T00:00:00Z")],
    ),
    "prices of the version before, in its warehouse alone": (
        State(prices=Prices(None, price_rows())),
        TAKE_PRICES,
        [("update", "Price", "billing/prices")],
    ),
    "prices taken, the warehouse lost": (
        State(prices=Prices(price_rows(), None)),
        TAKE_PRICES,
        [("update", "Price", "billing/prices")],
    ),
    "prices taken, the warehouse's table emptied": (
        State(prices=Prices(price_rows(), ())),
        TAKE_PRICES,
        [("update", "Price", "billing/prices")],
    ),
    "prices taken, the warehouse's are others": (
        State(prices=Prices(price_rows(), tuple(replace(row, output_pico=1) for row in price_rows()))),
        TAKE_PRICES,
        [("update", "Price", "billing/prices")],
    ),
    "another price": (
        State(prices=taken(tuple(replace(row, output_pico=1) for row in price_rows()))),
        TAKE_PRICES,
        [("update", "Price", "chat p@2026-03-01T00:00:00Z")],
    ),
    "another price in a closed month": (
        State(prices=taken(in_january(output_pico=1))),
        TAKE_PRICES,
        [("refused", "Price", "billing/prices")],
    ),
    "a price of a closed month taken out of the catalog": (
        State(prices=taken(in_january(effective_from=datetime(2025, 12, 1, tzinfo=UTC), assigned_from=None))),
        TAKE_PRICES,
        [("refused", "Price", "billing/prices")],
    ),
    "prices of a deployment that is no more": (
        State(prices=taken((*price_rows(), *(replace(row, deployment="gone") for row in price_rows())))),
        {},
        [],
    ),
    "a tenants' database that was lost": (
        State(orgs=Lost("it had 3 keys")),
        {"tenants/organizations": frozenset({("tenants", "organizations")})},
        [("refused", "Organization", "tenants/organizations")],
    ),
    "a part that cannot be told of": (
        State(parts=(Drift(Part("gateway", "public"), trouble=TROUBLE),)),
        {"gateway/public": frozenset({("gateway", "public")})},
        [("refused", "Gateway", "public")],
    ),
}


@pytest.mark.parametrize(("state", "repairs", "changes"), TABLE.values(), ids=TABLE.keys())
def test_plan_and_repair_agree_on_what_differs(
    state: State, repairs: dict[str, Any], changes: list[tuple[str, str, str]]
) -> None:
    assert repaired(state) == repairs
    assert planned(state) == changes
    assert bool(changes) == bool(repairs)


def test_a_store_that_does_not_answer_is_asked_again_by_repair_and_told_by_a_plan() -> None:
    away = Untold("tenants/organizations", RuntimeError("the database is down"))
    state = State(orgs=away)
    assert repaired(state) == {}
    decision = drift.decide(state.told()["tenants/organizations"], False, None, 3, NOW)
    assert decision == drift.Wait("tenants/organizations", "the database is down")
    with pytest.raises(RuntimeError, match="the database is down"):
        planned(state)


def test_what_a_run_would_refuse_is_tried_once_and_a_plan_says_why_in_the_runs_own_words() -> None:
    state = State(prices=taken(in_january(output_pico=1)))
    told = state.told()["billing/prices"]
    assert isinstance(told, Difference)
    first = drift.decide(told, False, None, 3, NOW)
    assert isinstance(first, drift.Repair)
    once = drift.Attempts(first.digest, 1, NOW)
    again = drift.decide(told, False, once, 3, NOW + timedelta(days=1))
    assert again == drift.Alert("billing/prices", told.digest, told.reason)
    [change] = plans.changes_of(CATALOG, {"chat": spec()}, {}, state.live(), {"billing/prices": told}, NOW)
    with pytest.raises(ClosedPriceError) as refused:
        prices.check_append_only(in_january(output_pico=1), in_january(), prices.month_start(NOW))
    assert change.detail == tuple(str(refused.value).splitlines())


def test_what_stays_unreadable_until_a_person_acts_is_told_to_one() -> None:
    damaged = Untold("billing/prices", RuntimeError("restore it"), lasting=True)
    decision = drift.decide(State(prices=damaged).told()["billing/prices"], False, None, 3, NOW)
    assert decision == drift.Alert("billing/prices", "", "restore it")


def test_where_all_is_as_it_should_be_neither_records_nor_weights_are_asked() -> None:
    """A look at a thousand deployments that serve costs no call for each."""

    def asked(*_: object) -> Any:
        raise AssertionError("asked of a deployment that has converged")

    live = replace(State().live(), revision=asked, missing_weights=asked)
    assert set(differences.between(CATALOG, {"chat": spec()}, live, NOW).values()) == {None}


def test_a_moving_ref_without_a_commit_wants_its_weights() -> None:
    told = differences.between(CATALOG, {}, State(serving={}).live(), NOW)
    assert isinstance(told["chat"], differences.Difference)
    assert told["chat"].reason == "weights missing: a commit"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State(orgs=frozenset({"b", "c"})), "acme is missing, b is not in the catalog and 1 more"),
        (State(prices=taken(())), "billing/prices differs: chat p@2026-03-01T00:00:00Z"),
        (State(prices=Prices(price_rows(), ())), "billing/prices differs: the warehouse has none"),
        (State(prices=Prices(None, price_rows())), "there is no price history; the warehouse's prices begin"),
        (State(prices=taken(in_january(output_pico=1))), "output = 2 in the catalog"),
        (State(orgs=Lost("it had 3 keys")), "tenants/organizations differs: it had 3 keys"),
        (State(serving={}), f"spec {WANTED[:8]} is not serving"),
    ],
)
def test_a_difference_names_what_differs(state: State, reason: str) -> None:
    assert any(reason in each.reason for each in differences.differing(state.told()))


def test_a_plan_names_the_fields_of_an_edit_or_the_reason_where_no_field_shows_it() -> None:
    def only_change(state: State) -> Any:
        live, told = state.live(), state.told()
        by_digest = {each.spec_digest: each for each in state.records}
        routed = {"chat": by_digest[state.routes[0].revision]}
        [change] = plans.changes_of(CATALOG, {"chat": spec()}, routed, live, told, NOW)
        return change

    edit = only_change(State(routes=routed_to(OLD), serving={"chat": BOTH}))
    assert [(each.field, each.before, each.after) for each in edit.fields] == [
        ("deployment.env.OLD", "1", None)
    ]
    lost = only_change(State(serving={}))
    assert (lost.fields, lost.detail) == ((), (f"spec {WANTED[:8]} is not serving",))

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from slipway.control.differences import Desired, Difference, Observed, Untold, of_deployment, of_removed
from slipway.control.drift import (
    BACKOFF_S,
    Alert,
    Attempts,
    Decision,
    Repair,
    Wait,
    after,
    capped,
    merge,
    quiet,
)
from slipway.control.drift import decide as decide_told

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUTES = ("gateway", "routes")
SERVE = {("rollout", "chat"), ("endpoint", "chat"), ROUTES}
DESIRED = Desired("chat", "d" * 64, "r1")
GOOD = Observed(validated=True, live=True, routed_spec_digest="d" * 64, routed_policy="r1")
OLD = Observed(validated=False, live=False, routed_spec_digest="0" * 64, routed_policy="r1")
PRICES = Difference("billing/prices", "prices", "b", frozenset({("billing", "prices")}), "prices differ")


def decide(
    desired: Desired, observed: Observed, attempts: Attempts | None, most: int, now: datetime
) -> Decision:
    """What is to be done about one deployment that no run is at."""
    return decide_told(of_deployment(desired, observed), False, attempts, most, now)


@pytest.mark.parametrize(
    ("observed", "selection"),
    [
        (Observed(missing_weights=frozenset({"tone"})), SERVE | {("weights", "tone")}),
        (OLD, SERVE),
        (Observed(validated=True, live=False, routed_spec_digest="d" * 64, routed_policy="r1"), SERVE),
        (
            Observed(validated=True, live=True, routed_spec_digest="0" * 64, routed_policy="r1"),
            {ROUTES},
        ),
        (
            Observed(validated=True, live=True, routed_spec_digest="d" * 64, routed_policy="r0"),
            {ROUTES},
        ),
        (Observed(validated=True, live=True), {ROUTES}),
    ],
)
def test_the_repair_is_the_smallest_that_helps(observed: Observed, selection: set[tuple[str, str]]) -> None:
    repair = decide(DESIRED, observed, None, 3, NOW)
    assert isinstance(repair, Repair)
    assert repair.selection == selection
    assert repair.attempt == 1
    assert repair.reason


def test_what_serves_as_wanted_needs_nothing() -> None:
    assert decide(DESIRED, GOOD, None, 3, NOW) is None


def test_a_spec_that_was_taken_back_by_hand_is_left_alone_unless_what_is_routed_is_lost() -> None:
    back = Observed(withdrawn=True, live=True, routed_spec_digest="0" * 64, routed_policy="r1")
    assert decide(DESIRED, back, None, 3, NOW) is None
    other_limits = decide(DESIRED, replace(back, routed_policy="r0"), None, 3, NOW)
    assert isinstance(other_limits, Repair)
    assert other_limits.selection == {ROUTES}
    assert isinstance(decide(DESIRED, replace(back, routed_is_live=False), None, 3, NOW), Repair)


def test_a_repair_under_way_is_waited_for_and_what_cannot_be_told_is_asked_again() -> None:
    assert isinstance(decide_told(of_deployment(DESIRED, OLD), True, None, 3, NOW), Wait)
    away = decide_told(Untold("tenants/organizations", OSError("the database is down")), False, None, 3, NOW)
    assert away == Wait("tenants/organizations", "the database is down")


def test_attempts_back_off_and_end_in_an_alert() -> None:
    first = decide(DESIRED, OLD, None, 2, NOW)
    assert isinstance(first, Repair)
    attempts = after({"chat": first}, {}, NOW)
    soon, due = NOW + timedelta(seconds=BACKOFF_S - 1), NOW + timedelta(seconds=BACKOFF_S)
    assert isinstance(decide(DESIRED, OLD, attempts["chat"], 2, soon), Wait)
    second = decide(DESIRED, OLD, attempts["chat"], 2, due)
    assert isinstance(second, Repair)
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.run_key != second.run_key
    attempts = after({"chat": second}, attempts, due)
    assert isinstance(decide(DESIRED, OLD, attempts["chat"], 2, due + timedelta(days=1)), Alert)


def test_another_digest_starts_again_from_the_first_attempt() -> None:
    tired = Attempts("0" * 64 + "/r1", 2, NOW)
    repair = decide(DESIRED, OLD, tired, 2, NOW)
    assert isinstance(repair, Repair)
    assert repair.attempt == 1


def test_what_converged_is_forgotten_so_that_a_later_loss_is_repaired_as_often() -> None:
    before = {"chat": Attempts("x", 3, NOW)}
    assert after({"chat": decide(DESIRED, GOOD, before["chat"], 3, NOW)}, before, NOW) == {}


def test_waiting_keeps_the_count() -> None:
    before = {"chat": Attempts("x", 1, NOW)}
    assert after({"chat": Wait("chat", "busy")}, before, NOW) == before


def test_a_removed_deployment_only_needs_the_routes() -> None:
    repair = decide_told(of_removed("chat"), False, None, 3, NOW)
    assert isinstance(repair, Repair)
    assert repair.selection == {ROUTES}


def test_repairs_of_one_tick_are_one_selection() -> None:
    price = decide_told(PRICES, False, None, 3, NOW)
    serve = decide(DESIRED, OLD, None, 3, NOW)
    assert isinstance(price, Repair)
    assert isinstance(serve, Repair)
    assert merge([price, serve]) == SERVE | {("billing", "prices")}


def test_the_loss_of_what_is_routed_is_repaired_even_when_the_new_spec_was_given_up() -> None:
    lost = Observed(routed_spec_digest="0" * 64, routed_policy="r1", routed_is_live=False)
    given_up = Attempts("d" * 64 + "/r1", 3, NOW)
    assert isinstance(decide(DESIRED, OLD, given_up, 3, NOW + timedelta(hours=1)), Alert)
    assert isinstance(decide(DESIRED, lost, given_up, 3, NOW), Repair)


def test_it_is_quiet_only_when_nothing_is_asked_for_or_waited_for() -> None:
    assert quiet({"a": None, "b": Alert("b", "d", "gave up")})
    assert not quiet({"a": Wait("a", "busy")})
    assert not quiet({"a": decide(DESIRED, OLD, None, 3, NOW)})


def test_repairs_beyond_a_tick_s_bound_wait_without_costing_an_attempt() -> None:
    repairs = {f"d{n}": Repair(f"d{n}", "x", frozenset({ROUTES}), 1, "why") for n in range(3)}
    decisions = capped({"fine": None, **repairs}, 2)
    assert [type(decisions[name]).__name__ for name in repairs] == ["Repair", "Repair", "Wait"]
    assert after(decisions, {}, NOW).keys() == {"d0", "d1"}


def test_what_differs_is_repaired_by_itself_a_few_times_then_a_person_is_told() -> None:
    def decided(tried: int = 0, busy: bool = False) -> Decision:
        attempts = Attempts("b", tried, NOW - timedelta(hours=1)) if tried else None
        return decide_told(PRICES, busy, attempts, 3, NOW)

    assert decide_told(None, False, None, 3, NOW) is None
    repair = decided()
    assert isinstance(repair, Repair)
    assert (repair.selection, repair.attempt) == ({("billing", "prices")}, 1)
    assert repair.reason == "prices differ"
    assert isinstance(decided(busy=True), Wait)
    assert isinstance(decided(tried=3), Alert)

"""The demo must not say that a claim holds when it does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from slipway.metering.queries import Bill
from slipway.records.price_history import PriceRow
from slipway.records.usage import Units
from slipway.stack.demo.claims import expected_cost, judge
from slipway.stack.demo.dagster_api import Run
from slipway.stack.demo.story import ADAPTER, ASSISTANT, CHAT, Record
from slipway.stack.demo.traffic import Client, Seen

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHANGE = T0 + timedelta(minutes=1)
OLD = PriceRow(CHAT, None, T0 - timedelta(days=1), CHANGE, "book", 100, 25, 400, "EUR", "engine-output")
NEW = replace(OLD, effective_from=CHANGE, effective_to=None, input_pico=120, cached_pico=30, output_pico=480)
PRICES = [OLD, NEW, replace(OLD, deployment=ASSISTANT, effective_to=None)]


def a_client(org: str, *seen: Seen) -> Client:
    client = Client(org, "http://127.0.0.1:1", "secret")
    client.seen += seen
    return client


def a_good_record() -> tuple[Record, dict[str, Bill]]:
    ok = Seen("acme", CHAT, T0, 200, input=10, cached=4, output=3)
    later = Seen("acme", ADAPTER, CHANGE, 200, input=20, output=5)
    tokens = Seen("globex", ASSISTANT, T0, 429, error="limit of 9 tokens per minute")
    requests = Seen("globex", ASSISTANT, T0, 429, error="limit of 9 requests per minute")
    hidden = Seen("initech", CHAT, T0, 404, error="no `chat`")
    record = Record(
        clients={
            "acme": a_client("acme", ok, later),
            "globex": a_client("globex", tokens, requests),
            "initech": a_client("initech", hidden),
        },
        models_listed={"acme": [ASSISTANT, CHAT, ADAPTER], "globex": [ASSISTANT], "initech": []},
        unknown_model=Seen("initech", "nope", T0, 404, error="no `nope`"),
        first_digests={CHAT: "a"},
        redeployed_digest="b",
        serving_digest="b",
        bad_digest="c",
        redeploy_flow=[ok],
        rollback_flow=[ok],
        rollback=Run("r", "FAILURE", "deploy", {}, ()),
    )
    # 6 uncached, 4 cached and 3 output tokens at the old price; 20 and 5 at the new one.
    pico = 6 * 100 + 4 * 25 + 3 * 400 + 20 * 120 + 5 * 480
    acme = Bill("acme", "EUR", 2, {"success": 2}, 26, 4, 8, Units(), str(Decimal(pico).scaleb(-12)))
    nothing = Bill("globex", "EUR", 2, {"limited": 2}, 0, 0, 0, Units(), "0")
    none = Bill("initech", None, 1, {"client_error": 1}, 0, 0, 0, Units(), None)
    return record, {"acme": acme, "globex": nothing, "initech": none}


def broken(record: Record, bills: dict[str, Bill]) -> list[str]:
    return [claim.text for claim in judge(record, bills, PRICES) if not claim.held]


def test_a_good_record_breaks_no_claim() -> None:
    assert broken(*a_good_record()) == []


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"output": 9}, "acme: billed tokens = tokens seen by its client"),
        ({"input_cached": 3, "input_uncached": 27}, "acme: billed tokens = tokens seen by its client"),
        ({"by_status": {"success": 3}}, "acme: every request is counted once"),
        ({"cost": "0.000000006701"}, "acme: cost = tokens x the price in force"),
    ],
)
def test_a_wrong_bill_is_seen(change: dict[str, object], claim: str) -> None:
    record, bills = a_good_record()
    bills["acme"] = replace(bills["acme"], **change)  # type: ignore[arg-type]
    assert claim in broken(record, bills)


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"redeployed_digest": "a", "serving_digest": "a"}, "the edit was redeployed"),
        ({"redeploy_flow": []}, "no request failed during the redeploy"),
        ({"redeploy_flow": [Seen("acme", CHAT, T0, 502)]}, "no request failed during the redeploy"),
        ({"serving_digest": "c"}, "the bad edit was refused and the good revision serves"),
        ({"rollback": None}, "the bad edit was refused and the good revision serves"),
        (
            {"models_listed": {"acme": [], "globex": [], "initech": [CHAT]}},
            "each org lists only what is shared with it",
        ),
        (
            {"unknown_model": Seen("initech", "nope", T0, 404, error="not yours")},
            "a model that is not shared looks like one that does not exist",
        ),
    ],
)
def test_a_broken_promise_is_seen(change: dict[str, object], claim: str) -> None:
    record, bills = a_good_record()
    for name, value in change.items():
        setattr(record, name, value)
    assert claim in broken(record, bills)


def test_cost_is_exact_across_a_change_of_price() -> None:
    seen = [
        Seen("acme", CHAT, CHANGE - timedelta(microseconds=1), 200, input=1),
        Seen("acme", CHAT, CHANGE, 200, input=1),
    ]
    assert expected_cost(seen, PRICES, {CHAT: CHAT}) == Decimal("0.000000000220")

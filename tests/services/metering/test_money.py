"""Money: exact to the last digit, at the price in force at each request's time, and never through a float."""

import io
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.metering.checks import evaluate
from slipway.metering.price_table import sync_prices
from slipway.metering.prices import ClosedPriceError, PriceSchedule, in_force
from slipway.metering.publish import publish, publish_copy
from slipway.metering.published import PublishedCopy
from slipway.metering.queries import bill_lines, bills, prices
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.price_history import PriceRow
from slipway.records.usage import Units, event_time

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)

Rows = Callable[[str], list[dict[str, Any]]]


def rolled_up(store: ObjectStore, warehouse: Warehouse, *schedules: PriceSchedule) -> PublishedCopy:
    sync_prices(store, warehouse, schedules, now=JANUARY)
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    publish_copy(warehouse)
    return PublishedCopy(warehouse.directory)


def test_random_usage_with_prices_that_change_inside_the_hour_is_exact(
    store, warehouse, ship, new_event, schedule
) -> None:
    """Derived once more request by request in Python's integers; large prices so that a float would show."""
    chance = random.Random(11)

    def entries(org: str | None, changes: int) -> list[tuple[Any, ...]]:
        since = [
            JANUARY,
            *(HOUR + timedelta(milliseconds=chance.randrange(3_600_000)) for _ in range(changes)),
        ]
        return [(at, *(chance.randrange(10**13) for _ in range(3)), org) for at in since]

    schedules = [
        schedule("a", *entries(None, 3), *entries("org-1", 2)),
        schedule("b", *entries(None, 1), bill_failed="nothing"),
    ]
    events = []
    for _ in range(5_000):
        cached = chance.randrange(10**6)
        events.append(
            new_event(
                HOUR + timedelta(milliseconds=chance.randrange(3_600_000)),
                org=f"org-{chance.randrange(3)}", deployment=chance.choice("abc"),
                user=f"u-{chance.randrange(2)}",
                input_tokens=cached + chance.randrange(10**6), cached_tokens=cached,
                output_tokens=chance.randrange(10**6),
                status=chance.choices(["success", "cancelled", "server_error"], [8, 1, 1])[0],
            )
        )  # fmt: skip
    ship(HOUR, events[:2_000])
    ship(HOUR, events[1_500:])

    expected_pico: Counter[str] = Counter()
    for event in events:
        rows = [row for each in schedules if each.deployment == event.deployment for row in each.rows]
        price = in_force(rows, event.org, event_time(event.request_id))
        if price is None:
            continue
        billed_output = event.output_tokens
        if event.status != "success" and price.bill_failed == "nothing":
            billed_output = 0
        expected_pico[event.org] += billed_output * price.output_pico
        if event.status == "success":
            expected_pico[event.org] += (event.input_tokens - event.cached_tokens) * price.input_pico
            expected_pico[event.org] += event.cached_tokens * price.cached_pico

    copy = rolled_up(store, warehouse, *schedules)
    found = {bill.org: bill.cost for bill in bills(copy, HOUR, NOW) if bill.currency == "USD"}
    assert found == {org: f"{pico // 10**12}.{pico % 10**12:012d}" for org, pico in expected_pico.items()}
    assert {check.name for check in evaluate(copy, [HOUR]) if not check.passed} == {"unpriced"}
    assert sum(bill.requests for bill in bills(copy, HOUR, NOW)) == 5_000


def test_a_price_that_changes_inside_an_hour_gives_a_row_for_each_version(
    store, warehouse, ship, new_event, schedule, rows: Rows
) -> None:
    change = HOUR + timedelta(minutes=30)
    ship(HOUR, [new_event(change - timedelta(milliseconds=1)), new_event(change), new_event(change)])
    rolled_up(store, warehouse, schedule("chat", (JANUARY, 1, 1, 1), (change, 10, 10, 10)))
    found = {row["price_version"]: (row["requests"], row["cost"]) for row in rows("usage_hourly")}
    tokens = 100 + 11
    assert found == {
        "standard@2026-01-01T00:00:00Z": (1, Decimal(tokens).scaleb(-12)),
        "standard@2026-03-10T09:30:00Z": (2, Decimal(2 * tokens * 10).scaleb(-12)),
    }


def test_cached_tokens_are_billed_once_and_at_their_own_price(
    store, warehouse, ship, new_event, schedule
) -> None:
    ship(HOUR, [new_event(input_tokens=100, cached_tokens=30, output_tokens=5)])
    copy = rolled_up(store, warehouse, schedule("chat", (JANUARY, 1_000, 100, 10)))
    (bill,) = bills(copy, HOUR, NOW, org="acme")
    assert (bill.input_uncached, bill.input_cached, bill.output) == (70, 30, 5)
    assert bill.cost == format(Decimal(70 * 1_000 + 30 * 100 + 5 * 10).scaleb(-12), "f")


def test_a_million_requests_of_one_pico_are_not_rounded_one_by_one(
    store, warehouse, ship, new_event, schedule
) -> None:
    event = new_event(input_tokens=0, cached_tokens=0, output_tokens=1)
    ship(HOUR, [new_event(input_tokens=0, cached_tokens=0, output_tokens=1) for _ in range(999)] + [event])
    (bill,) = bills(rolled_up(store, warehouse, schedule("chat", (JANUARY, 1, 1, 1))), HOUR, NOW)
    assert bill.cost == "0.000000001000"


@pytest.mark.parametrize(("rule", "billed_output"), [("engine-output", 7), ("nothing", 0)])
@pytest.mark.parametrize("status", ["cancelled", "server_error", "client_error", "limited"])
def test_of_a_failed_request_the_price_book_says_what_is_billed(
    store, warehouse, ship, new_event, schedule, rows: Rows, rule: str, billed_output: int, status: str
) -> None:
    ship(HOUR, [new_event(status=status, input_tokens=100, cached_tokens=20, output_tokens=7)])
    copy = rolled_up(store, warehouse, schedule("chat", (JANUARY, 1, 1, 3), bill_failed=rule))
    (bill,) = bills(copy, HOUR, NOW)
    assert (bill.input_uncached, bill.input_cached, bill.output) == (0, 0, billed_output)
    assert bill.by_status == {status: 1}
    assert bill.cost == format(Decimal(3 * billed_output).scaleb(-12), "f")
    (run,) = rows("rollup_run")
    assert (run["input_tokens"], run["unbilled_input_tokens"]) == (100, 100)
    assert (run["unbilled_cached_tokens"], run["unbilled_output_tokens"]) == (20, 7 - billed_output)


@pytest.mark.parametrize(
    ("status", "counted_by", "rule", "is_billed"),
    [
        ("cancelled", "engine", "engine-output", True),
        ("cancelled", "bound", "engine-output", True),
        ("server_error", "bound", "engine-output", True),
        ("cancelled", "engine", "nothing", False),
    ],
)
def test_the_prompt_of_a_request_that_was_hung_up_is_billed_as_its_output_is(
    store, warehouse, ship, new_event, schedule, rows: Rows,
    status: str, counted_by: str, rule: str, is_billed: bool,
) -> None:  # fmt: skip
    """734 tokens of prompt and one of an answer, after which the client left."""
    ship(HOUR, [
        new_event(status=status, input_tokens=734, cached_tokens=4, output_tokens=1, counted_by=counted_by)
    ])  # fmt: skip
    copy = rolled_up(store, warehouse, schedule("chat", (JANUARY, 100, 10, 1_000), bill_failed=rule))
    (bill,) = bills(copy, HOUR, NOW)
    cost = 730 * 100 + 4 * 10 + 1 * 1_000
    assert bill.cost == format(Decimal(cost if is_billed else 0).scaleb(-12), "f")
    (usage,) = rows("usage_hourly")
    assert (usage["bounded"], usage["requests"]) == (int(counted_by == "bound"), 1)
    (run,) = rows("rollup_run")
    assert run["unbilled_input_tokens"] == (0 if is_billed else 734)
    assert {check.name for check in evaluate(copy, [HOUR]) if not check.passed} == set()
    assert all(check.passed for check in evaluate(copy, [HOUR]))


def test_the_largest_counts_of_many_requests_fit_and_absurd_ones_stop_nothing(
    store, warehouse, ship, new_event, schedule
) -> None:
    """A thousand times 2^53 tokens left 64 bits, and the whole chunk was lost."""
    most = 2**31 - 1
    absurd = [new_event(input_tokens=2**53, output_tokens=2**53) for _ in range(1025)]
    good = [new_event(input_tokens=most, cached_tokens=most, output_tokens=most) for _ in range(3)]
    ship(HOUR, [*absurd, *good])
    copy = rolled_up(store, warehouse, schedule("chat", (JANUARY, 2**40, 2**40, 2**40)))
    (bill,) = bills(copy, HOUR, NOW)
    assert (bill.requests, bill.input_cached, bill.output) == (3, 3 * most, 3 * most)
    assert bill.cost == format(Decimal(6 * most * 2**40).scaleb(-12), "f")
    failed = [check for check in evaluate(copy, [HOUR]) if not check.passed]
    assert [check.name for check in failed] == ["quarantined"]
    assert "larger than any count" in str(failed[0].evidence["rows"])


def test_usage_without_a_price_is_kept_counted_and_shown(store, warehouse, ship, new_event, schedule) -> None:
    ship(HOUR, [new_event(), new_event(deployment="free")])
    copy = rolled_up(store, warehouse, schedule("chat", (JANUARY, 1, 1, 1)), PriceSchedule("free", None))
    priced, free = bills(copy, HOUR, NOW)
    assert (priced.currency, priced.requests) == ("USD", 1)
    assert (free.currency, free.cost, free.requests, free.output) == (None, None, 1, 11)
    (unpriced,) = [check for check in evaluate(copy, [HOUR]) if not check.passed]
    assert unpriced.name == "unpriced" and unpriced.severity == "warn"
    assert unpriced.evidence["rows"][0]["deployment"] == "free"


def test_every_unit_is_billed_at_its_own_price_and_one_that_has_none_is_shown(
    store, warehouse, ship, new_event, rows: Rows
) -> None:
    """What is spoken has a price by its time or by its characters; documents here have none at all."""
    no_tokens = {
        "input_tokens": 0,
        "cached_tokens": 0,
        "output_tokens": 0,
        "ttft_us": None,
        "counted_by": "engine",
    }
    price = PriceRow(
        "chat", None, JANUARY, None, "standard", 1, 1, 1, "USD", "engine-output",
        input_audio_pico=100_000, character_pico=15_000_000,
    )  # fmt: skip
    ship(
        HOUR,
        [
            new_event(input_audio_ms=61_234, **no_tokens),
            new_event(characters=1_001, output_audio_ms=9_000, **no_tokens),
            new_event(documents=5, searches=1, org="other", **no_tokens),
            new_event(input_audio_ms=7, output_audio_ms=8, status="cancelled", **no_tokens),
            new_event(),
        ],
    )
    copy = rolled_up(store, warehouse, PriceSchedule("chat", "standard", (price,)))
    mine, others = bills(copy, HOUR, NOW)
    pico = (61_234 + 7) * 100_000 + 1_001 * 15_000_000 + 111
    assert mine.cost == str(Decimal(pico).scaleb(-12))
    assert mine.units == Units(input_audio_ms=61_241, output_audio_ms=9_008, characters=1_001)
    assert (others.units, Decimal(others.cost or 1)) == (Units(documents=5, searches=1), 0)
    lines = bill_lines(copy, HOUR, NOW)
    assert [line.units for line in lines] == [mine.units, others.units]
    (row,) = rows("deployment_hourly")
    assert (row["input_audio_ms"], row["characters"], row["documents"]) == (61_241, 1_001, 5)
    assert [row["unpriced"] for row in rows("rollup_run")] == [1]
    (failed,) = [check for check in evaluate(copy, [HOUR]) if not check.passed]
    assert failed.name == "unpriced"
    assert [(row["org"], row["documents"]) for row in failed.evidence["rows"]] == [("other", 5)]


def test_units_of_failed_requests_are_conserved_when_they_are_not_billed(
    store, warehouse, ship, new_event, schedule
) -> None:
    ship(
        HOUR,
        [
            new_event(
                status="cancelled", input_audio_ms=9, output_audio_ms=8, documents=3, counted_by="engine"
            )
        ],
    )
    copy = rolled_up(store, warehouse, schedule("chat", (JANUARY, 1, 1, 1), bill_failed="nothing"))
    (bill,) = bills(copy, HOUR, NOW)
    assert (bill.units, bill.requests) == (Units(), 1)
    checks = {check.name: check for check in evaluate(copy, [HOUR])}
    assert checks["tokens_conserved"].passed and checks["unpriced"].passed
    assert checks["tokens_conserved"].evidence["input_audio_ms"] == 9


def test_copies_of_an_event_that_differ_in_a_unit_are_a_conflict(store, warehouse, ship, new_event) -> None:
    event = new_event(characters=5)
    ship(HOUR, [event, new_event(request_id=event.request_id, characters=9), event])
    (summary,) = roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    assert (summary.duplicates, summary.conflicts, summary.units) == (2, 1, Units(characters=9))


def test_invented_model_names_are_one_row_per_key_and_no_warning(
    store, warehouse, ship, new_event, schedule, rows: Rows
) -> None:
    """A tenant does not decide how large the warehouse is."""
    nothing = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "status": "client_error"}
    invented = [new_event(deployment="", model=f"invented-{n}", ttft_us=None, **nothing) for n in range(300)]
    ship(HOUR, [*invented, new_event(deployment="", model="", org="other", ttft_us=None, **nothing)])
    ship(HOUR, [new_event(), invented[0]])
    copy = rolled_up(store, warehouse, schedule("chat", (JANUARY, 1, 1, 1)))
    assert [
        (row["org"], row["deployment"], row["model"], row["requests"]) for row in rows("usage_hourly")
    ] == [
        ("acme", "", "", 300),
        ("acme", "chat", "chat", 1),
        ("other", "", "", 1),
    ]
    assert [(row["model"], row["client_errors"]) for row in rows("deployment_hourly")] == [
        ("", 301),
        ("chat", 0),
    ]
    assert [check.name for check in evaluate(copy, [HOUR]) if not check.passed] == []
    assert [row["unpriced"] for row in rows("rollup_run")] == [0]


def test_unpriced_speaks_of_tokens_of_a_deployment_alone(
    store, warehouse, ship, new_event, schedule, rows: Rows
) -> None:
    """A refused request cost nobody anything; a price that begins in a hundred years is none."""
    nothing = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "ttft_us": None}
    ship(HOUR, [new_event(status="limited", **nothing), new_event(org="other"), new_event(deployment="b")])
    far = JANUARY.replace(year=2126)
    copy = rolled_up(
        store, warehouse, schedule("chat", (far, 1, 1, 1)), schedule("b", (JANUARY, 1, 1, 1, "x"))
    )
    (unpriced,) = [check for check in evaluate(copy, [HOUR]) if not check.passed]
    assert [(row["deployment"], row["org"]) for row in unpriced.evidence["rows"]] == [
        ("b", "acme"),
        ("chat", "other"),
    ]
    assert [row["unpriced"] for row in rows("rollup_run")] == [2]


def test_lines_of_a_bill_add_up_and_name_their_prices(store, warehouse, ship, new_event, schedule) -> None:
    ship(HOUR, [new_event(), new_event(deployment="b"), new_event(org="other")])
    copy = rolled_up(
        store, warehouse, schedule("chat", (JANUARY, 5, 1, 2)), schedule("b", (JANUARY, 1, 1, 1))
    )
    lines = bill_lines(copy, HOUR, NOW, org="acme")
    assert [(line.deployment, line.requests) for line in lines] == [("b", 1), ("chat", 1)]
    (bill,) = bills(copy, HOUR, NOW, org="acme")
    assert sum(Decimal(line.cost or 0) for line in lines) == Decimal(bill.cost or 0)
    assert {row.version for row in prices(copy)} == {line.price_version for line in lines}


def test_a_changed_price_of_a_closed_month_is_refused_and_changes_nothing(
    store, warehouse, ship, new_event, schedule, rows: Rows
) -> None:
    ship(HOUR, [new_event()])
    rolled_up(store, warehouse, schedule("chat", (JANUARY, 1, 1, 1)))
    before = {table: rows(table) for table in ("price", "usage_hourly", "rollup_run")}
    with pytest.raises(ClosedPriceError, match="deployment chat"):
        sync_prices(store, warehouse, [schedule("chat", (JANUARY, 2, 1, 1))], now=NOW)
    assert {table: rows(table) for table in before} == before


def test_a_sync_reports_what_came_and_went(store: ObjectStore, warehouse: Warehouse, schedule) -> None:
    first = sync_prices(store, warehouse, [schedule("chat", (JANUARY, 1, 1, 1))], now=JANUARY)
    assert first.added == ("standard@2026-01-01T00:00:00Z",) and first.removed == ()
    again = sync_prices(store, warehouse, [schedule("chat", (JANUARY, 1, 1, 1))], now=NOW)
    assert again.added == again.removed == ()


def test_money_leaves_as_decimal_in_arrow_pandas_and_parquet(
    store, warehouse, ship, new_event, schedule
) -> None:
    """A cost with more digits than a float has survives every way out."""
    ship(HOUR, [new_event(input_tokens=2**31 - 1, cached_tokens=0, output_tokens=0)])
    price_pico = 10**12 + 1
    exact = Decimal((2**31 - 1) * price_pico).scaleb(-12)
    assert Decimal(float(exact)) != exact
    sync_prices(store, warehouse, [schedule("chat", (JANUARY, price_pico, 1, 1))], now=JANUARY)
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    published = publish(warehouse, store, [HOUR])
    copy = PublishedCopy(warehouse.directory)
    assert bills(copy, HOUR, NOW)[0].cost == str(exact)

    assert "metering/usage_hourly/day=2026-03-10.parquet" in published.parquet_keys
    doubles = set()
    for key in published.parquet_keys:
        body = store.get(key)
        assert body is not None
        table = pq.read_table(io.BytesIO(body))
        doubles |= {name for name, kind in zip(table.column_names, table.schema.types, strict=True)
                    if pa.types.is_floating(kind)}  # fmt: skip
        if "cost" in table.column_names:
            assert table.schema.field("cost").type == pa.decimal128(38, 12)
            assert table["cost"].to_pylist() == [exact]
            assert table.to_pandas()["cost"].tolist() == [exact]
    assert all(name.endswith(("_ms", "_per_s", "_share")) for name in doubles)

    with copy.reading() as connection:
        bill = connection.sql("SELECT sum(cost)::DECIMAL(38, 12) AS cost FROM usage_hourly").to_arrow_table()
    assert bill["cost"].to_pylist() == [exact]

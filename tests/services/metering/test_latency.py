"""Latency as it is kept and asked: waits and cold starts, shares, and periods within the stated bound."""

import json
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway.metering.asking import Question, ask
from slipway.metering.periods import Period, read_period
from slipway.metering.publish import publish_copy
from slipway.metering.published import PublishedCopy
from slipway.metering.rollup import roll_up
from slipway.metering.warehouse import Warehouse

from .conftest import HOUR, NOW

# A bucket is 2.02% wide and its middle is told: the root of 1.0202 is the most that a value is off by.
BOUND = math.sqrt(1.0202) - 1
STEP = timedelta(hours=1)
ENDS = ("success", "limited", "server_error", "client_error")
COLD = {"detect": 400, "schedule": 2_000, "pull": 30_000, "load": 9_000, "init": 1_500, "first_token": 250}

Rolled = Callable[..., PublishedCopy]


@pytest.fixture
def rolled(store, warehouse: Warehouse, ship) -> Rolled:
    """Ships events of some hours, rolls these up and publishes."""

    def roll(*shipments: tuple[datetime, list[Any]]) -> PublishedCopy:
        for hour, events in shipments:
            ship(hour, events)
        roll_up(store, warehouse, [hour for hour, _ in shipments], run_id="1", now=NOW)
        publish_copy(warehouse)
        return PublishedCopy(warehouse.directory)

    return roll


def answered(copy: PublishedCopy, period: Period, by: str | None = None) -> list[dict[str, Any]]:
    answer = ask(copy, "latency", Question(period, by=by, per=("deployment",)))
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def nearest_rank(values: list[float], q: float) -> float:
    return sorted(values)[math.ceil(q * len(values)) - 1]


def test_waits_and_phases_of_cold_starts_are_kept_and_absent_ones_are_null(
    rolled: Rolled, new_event, rows
) -> None:
    cold = {f"cold_{phase}_us": ms * 1_000 for phase, ms in COLD.items()}
    rolled(
        (HOUR, [
            *(new_event(queue_us=n * 1_000, hold_us=None) for n in (10, 20, 30, 40)),
            new_event(hold_us=7_000_000, cold_start=True, **cold),
            *(new_event() for _ in range(5)),
        ]),
        (HOUR + STEP, [new_event(HOUR + STEP, status=status) for status in ENDS]),
    )  # fmt: skip
    waited, plain = rows("deployment_hourly")
    assert (waited["queue_count"], waited["queue_mean_ms"], waited["queue_p50_ms"]) == (4, 25.0, 25.0)
    assert (waited["queue_max_ms"], waited["hold_count"], waited["hold_max_ms"]) == (40.0, 1, 7_000.0)
    assert (waited["cold_starts"], waited["cold_measured"]) == (1, 1)
    for phase, ms in COLD.items():
        assert {waited[f"cold_{phase}_{name}_ms"] for name in ("mean", "p50", "p95", "max")} == {float(ms)}
    assert (waited["ttft_max_ms"], waited["duration_max_ms"], waited["itl_max_ms"]) == (50.0, 250.0, 20.0)
    assert (plain["queue_count"], plain["hold_count"], plain["cold_measured"]) == (0, 0, 0)
    absent = [
        name for name in plain if name.startswith(("queue_", "hold_", "cold_")) and name.endswith("_ms")
    ]
    assert len(absent) == 36 and {plain[name] for name in absent} == {None}
    assert [plain[f"{name}_share"] for name in ("client_error", "server_error", "limited")] == [0.25] * 3


def test_an_event_has_waits_and_units_in_its_line_where_it_has_some(new_event) -> None:
    for changes in ({}, {"documents": 2}, {"hold_us": 5}, {"documents": 2, "cold_pull_us": 7}):
        line = json.loads(new_event(**changes).encode())
        assert (
            ("hold_us" in line) == ("cold_pull_us" in line) == any(name.endswith("_us") for name in changes)
        )
        assert ("documents" in line) == (changes != {})
        assert {name: line[name] for name in changes} == changes


@pytest.mark.parametrize("wrong", [-1, 1.5, "soon", True, 2**60])
def test_a_wait_that_is_no_count_sets_its_line_aside_with_the_reason(
    rolled: Rolled, new_event, rows, wrong: object
) -> None:
    rolled((HOUR, [new_event(), new_event(queue_us=wrong)]))
    (aside,) = rows("quarantine")
    assert aside["reason"].startswith("queue_us = ")
    assert [row["requests"] for row in rows("deployment_hourly")] == [1]


SHAPES: dict[str, Callable[[random.Random], float]] = {
    "lognormal": lambda chance: chance.lognormvariate(5, 1),
    "two humps": lambda chance: chance.gauss(30, 3) if chance.random() < 0.9 else chance.gauss(4_000, 300),
    "heavy tail": lambda chance: min(5 * chance.paretovariate(0.8), 9e6),
    "constant": lambda chance: 123.456,
    "tiny": lambda chance: chance.uniform(0.002, 0.02),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_days_weeks_months_and_odd_periods_are_within_the_stated_bound(
    rolled: Rolled, new_event, shape: str
) -> None:
    chance = random.Random(shape)
    hours = [HOUR + timedelta(hours=n) for n in (-30, -1, 0, 1, 15, 40, 200, 700)]
    durations: dict[datetime, list[float]] = {
        hour: [max(0.001, round(SHAPES[shape](chance), 3)) for _ in range(chance.randrange(40, 160))]
        for hour in hours
    }
    copy = rolled(
        *(
            (
                hour,
                [
                    new_event(hour, duration_us=round(ms * 1_000), stream=False, ttft_us=None)
                    for ms in of_hour
                ],
            )
            for hour, of_hour in durations.items()
        )
    )
    everything = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    odd = read_period("2026-03-09T03..2026-03-18T17", NOW)
    for period, by in (
        (everything, "day"),
        (everything, "week"),
        (everything, "month"),
        (everything, None),
        (odd, None),
    ):
        for row in answered(copy, period, by):
            within = [
                ms
                for hour, of_hour in durations.items()
                if period.start <= hour < period.end and (by is None or start_of(hour, by) == row["start"])
                for ms in of_hour
            ]
            assert row["metric"] == "duration" and row["count"] == len(within)
            assert row["max_ms"] == max(within)
            assert row["mean_ms"] == pytest.approx(sum(within) / len(within), rel=1e-9)
            if not row["is_exact"]:
                for name, q in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p95_ms", 0.95), ("p99_ms", 0.99)):
                    assert row[name] == pytest.approx(nearest_rank(within, q), rel=BOUND + 1e-9)


def start_of(hour: datetime, by: str) -> str:
    day = hour.replace(hour=0)
    starts = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}
    return f"{starts[by]:%Y-%m-%dT%H:%M:%SZ}"


def test_an_hour_that_is_rolled_up_again_changes_its_day_and_month_and_no_other(
    rolled: Rolled, new_event, rows
) -> None:
    later = HOUR + timedelta(days=40)
    rolled((HOUR, [new_event()]), (later, [new_event(later)]))
    rolled((HOUR, [new_event(duration_us=9_000_000), new_event(duration_us=9_000_000)]))
    for table, start in (("latency_hist_daily", "day"), ("latency_hist_monthly", "month")):
        found = [row for row in rows(table) if row["metric"] == "duration"]
        counts: dict[datetime, int] = {}
        for row in found:
            counts[row[start]] = counts.get(row[start], 0) + row["n"]
        assert sorted(counts.values()) == [1, 3]  # the object of the first round is still there

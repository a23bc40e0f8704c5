"""The rollup on a real object store: each event once, and the truth about what is not counted."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from slipway.metering.checks import evaluate
from slipway.metering.price_table import sync_prices
from slipway.metering.publish import publish_copy
from slipway.metering.published import PublishedCopy
from slipway.metering.queries import latencies
from slipway.metering.rollup import roll_up
from slipway.metering.staleness import survey
from slipway.metering.warehouse import USAGE_TABLES, Warehouse
from slipway.objectstore import ObjectStore

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = (*USAGE_TABLES, "price")


def stale(store: ObjectStore, warehouse: Warehouse, hours: list[datetime]) -> list[datetime]:
    """Which of the hours, which are all there are, a survey right after them would roll up again."""
    now = hours[-1] + timedelta(hours=1, minutes=10)
    return [each.hour for each in survey(store, warehouse, now=now, earliest=hours[0]).stale]


def test_an_hour_without_objects_is_a_valid_empty_hour(
    store: ObjectStore, warehouse: Warehouse, rows, schedule
) -> None:
    (summary,) = roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    assert (summary.objects, summary.rows_in, summary.cost, summary.final) == (0, 0, {}, True)
    assert len(rows("rollup_run")) == 1
    publish_copy(warehouse)
    assert all(check.passed for check in evaluate(PublishedCopy(warehouse.directory), [HOUR]))
    assert stale(store, warehouse, [HOUR]) == []


def test_the_running_hour_is_not_final(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, rows
) -> None:
    ship(HOUR, [new_event(), new_event()])
    now = HOUR + timedelta(minutes=10)
    (summary,) = roll_up(store, warehouse, [HOUR], run_id="r", now=now)
    assert not summary.final
    (row,) = rows("deployment_hourly")
    assert row["requests_per_s"] == 2 / 600


def test_48_hours_in_one_call_give_the_same_rows_as_48_calls(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, schedule, rows, tmp_path
) -> None:
    chance = np.random.default_rng(1)
    hours = [HOUR + timedelta(hours=n) for n in range(48)]
    for hour in hours[:-2]:
        events = [
            new_event(
                hour + timedelta(seconds=float(chance.uniform(0, 3599))),
                org=f"org-{chance.integers(3)}", deployment=f"d-{chance.integers(2)}",
                status=str(chance.choice(["success", "server_error", "cancelled"])),
                input_tokens=int(chance.integers(50, 90)), output_tokens=int(chance.integers(0, 90)),
                ttft_us=int(chance.integers(1, 10**6)), duration_us=int(chance.integers(10**6, 10**7)),
            )
            for _ in range(40)
        ]  # fmt: skip
        ship(hour, [*events, b'{"half": '])
        ship(hour, events[:3])
    schedules = [
        schedule("d-0", (JANUARY, 3, 1, 7), (HOUR + timedelta(hours=20, minutes=30), 4, 2, 8)),
        schedule("d-1", (JANUARY, 5, 1, 9), (JANUARY, 2, 2, 2, "org-1")),
    ]
    sync_prices(store, warehouse, schedules, now=JANUARY)
    together = roll_up(store, warehouse, list(reversed(hours)), run_id="one", now=NOW)
    once = {table: rows(table) for table in TABLES}
    with warehouse.writing() as connection:
        for table in TABLES:
            connection.execute(f"DELETE FROM {table}")
    sync_prices(store, warehouse, schedules, now=JANUARY)
    singly = [roll_up(store, warehouse, [hour], run_id="n", now=NOW)[0] for hour in hours]
    assert {table: rows(table) for table in TABLES} == once
    assert [s.hour for s in together] == hours == [s.hour for s in singly]
    assert sum(s.duplicates for s in together) == 46 * 3 and sum(s.quarantined for s in together) == 46


def test_rolling_up_again_replaces_the_hour_and_leaves_its_neighbours(
    store: ObjectStore, warehouse: Warehouse, ship, new_event, rows
) -> None:
    neighbour = HOUR + timedelta(hours=1)
    ship(HOUR, [new_event()])
    ship(neighbour, [new_event(neighbour)])
    roll_up(store, warehouse, [HOUR, neighbour], run_id="1", now=NOW)
    publish_copy(warehouse)
    ship(HOUR, [new_event(org="late")])
    assert stale(store, warehouse, [HOUR, neighbour]) == [HOUR]
    roll_up(store, warehouse, [HOUR], run_id="2", now=NOW)
    publish_copy(warehouse)
    assert stale(store, warehouse, [HOUR, neighbour]) == []
    assert [(row["hour"], row["org"]) for row in rows("usage_hourly")] == [
        (HOUR, "acme"),
        (HOUR, "late"),
        (neighbour, "acme"),
    ]


def test_a_retried_delivery_is_counted_once(store, warehouse, ship, new_event, rows) -> None:
    event, other = new_event(), new_event()
    ship(HOUR, [event, other, event])
    ship(HOUR, [event])
    (summary,) = roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    assert (summary.rows_in, summary.requests, summary.duplicates, summary.conflicts) == (4, 2, 2, 0)
    (row,) = rows("usage_hourly")
    assert (row["requests"], row["output"]) == (2, 22)


@pytest.mark.parametrize("order", [1, -1])
def test_of_copies_that_differ_in_tokens_the_larger_is_kept_and_the_conflict_shown(
    store, warehouse, ship, new_event, rows, order
) -> None:
    event = new_event(output_tokens=5)
    copies = [event, new_event(request_id=event.request_id, output_tokens=9), event]
    for copy in copies[::order]:
        ship(HOUR, [copy])
    (summary,) = roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    assert (summary.duplicates, summary.conflicts, summary.output_tokens) == (2, 1, 9)
    publish_copy(warehouse)
    failed = [c for c in evaluate(PublishedCopy(warehouse.directory), [HOUR]) if not c.passed]
    assert [c.name for c in failed] == ["unpriced", "conflicts"]


def test_copies_are_removed_before_anything_is_filtered(store, warehouse, ship, new_event, rows) -> None:
    """A failed copy must not survive because its successful twin was looked at elsewhere."""
    event = new_event(status="cancelled", output_tokens=3)
    ship(HOUR, [event, new_event(request_id=event.request_id, status="success", output_tokens=8)])
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    (row,) = rows("usage_hourly")
    assert (row["requests"], row["successes"], row["cancelled"], row["output"]) == (1, 1, 0, 8)


def test_an_event_of_another_hour_than_its_object_is_set_aside(
    store, warehouse, ship, new_event, rows
) -> None:
    stray = new_event(HOUR - timedelta(milliseconds=1))
    key = ship(HOUR, [new_event(), stray])
    (summary,) = roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    assert (summary.requests, summary.quarantined) == (1, 1)
    (bad,) = rows("quarantine")
    assert (bad["object"], bad["line_number"]) == (key, 2)
    assert stray.request_id in bad["reason"] and "another hour" in bad["reason"]


def test_broken_objects_are_set_aside_by_name_and_the_rest_counts(
    store, warehouse, ship, new_event, rows
) -> None:
    import gzip

    whole = gzip.compress(b"".join(new_event().encode() for _ in range(50)))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x55
    reasons = {
        ship(HOUR, body=b""): "empty object",
        ship(HOUR, body=gzip.compress(b"")): "no lines",
        ship(HOUR, body=whole[: len(whole) // 2]): "truncated",
        ship(HOUR, body=whole[:-3]): "truncated",
        ship(HOUR, body=bytes(flipped)): "not readable as gzip",
        ship(HOUR, body=b'{"not": "gzip"}\n'): "not readable as gzip",
    }
    ship(HOUR, body=whole + gzip.compress(new_event().encode()))  # two members are one object
    ship(HOUR, [new_event().encode().rstrip(b"\n")])  # the last newline may be missing
    ship(HOUR, [new_event()])  # and must not glue two objects together
    (summary,) = roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    assert (summary.objects, summary.requests) == (9, 53)
    found = {row["object"]: row["reason"] for row in rows("quarantine")}
    assert found.keys() == reasons.keys()
    assert all(reason in found[key] for key, reason in reasons.items())


def test_a_hundred_thousand_events_in_many_objects_all_count(store, warehouse, ship, new_event, rows) -> None:
    """More than one Arrow batch, one bad line in the middle that names its object and line."""
    lines = [new_event(HOUR + timedelta(milliseconds=n * 36)).encode() for n in range(100_000)]
    for start in range(0, 100_000, 5_000):
        part = lines[start : start + 5_000]
        key = ship(HOUR, part if start != 60_000 else [*part[:1234], b'{"request_id":\n', *part[1234:]])
        bad = key if start == 60_000 else locals().get("bad")
    (summary,) = roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    assert (summary.requests, summary.quarantined, summary.objects) == (100_000, 1, 20)
    assert summary.input_tokens == 100 * 100_000
    (row,) = rows("quarantine")
    assert (row["object"], row["line_number"]) == (bad, 1235)


def test_latency_is_exact_and_uses_the_defined_requests_only(store, warehouse, ship, new_event, rows) -> None:
    chance = np.random.default_rng(3)
    ttft = chance.integers(1_000, 900_000, 500)
    duration = ttft + chance.integers(0, 5_000_000, 500)
    output = chance.integers(2, 300, 500)
    fields = zip(ttft.tolist(), duration.tolist(), output.tolist(), strict=True)
    events = [new_event(ttft_us=t, duration_us=d, output_tokens=n) for t, d, n in fields]
    others = [
        new_event(stream=False, ttft_us=9_000_000, duration_us=10_000_000),
        new_event(ttft_us=None, status="limited", output_tokens=0),
    ]
    ship(HOUR, [*events, *others])
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    (row,) = rows("deployment_hourly")
    itl_us = (duration - ttft) / (output - 1)
    assert (row["requests"], row["ttft_count"], row["itl_count"]) == (502, 500, 500)
    for name, q in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)):
        assert row[f"ttft_{name}_ms"] == pytest.approx(np.percentile(ttft, q) / 1e3, rel=1e-12)
        assert row[f"itl_{name}_ms"] == pytest.approx(np.percentile(itl_us, q) / 1e3, abs=1e-6)  # ns
    assert row["ttft_mean_ms"] == pytest.approx(ttft.mean() / 1e3)
    whole = np.concatenate(
        [duration, [10_000_000, 250_000]]
    )  # of every request: streamed or not, limited, too
    for name, q in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)):
        assert row[f"duration_{name}_ms"] == pytest.approx(np.percentile(whole, q) / 1e3, rel=1e-12)
    assert row["duration_mean_ms"] == pytest.approx(whole.mean() / 1e3)
    buckets = {
        metric: {r["bucket"]: r["n"] for r in rows("latency_hist_hourly") if r["metric"] == metric}
        for metric in ("ttft", "itl", "duration")
    }
    values, counts = np.unique(np.ceil(np.log(ttft / 1e3) / np.log(1.0202)).astype(int), return_counts=True)
    assert buckets["ttft"] == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert sum(buckets["itl"].values()) == 500
    values, counts = np.unique(np.ceil(np.log(whole / 1e3) / np.log(1.0202)).astype(int), return_counts=True)
    assert buckets["duration"] == dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_requests_that_are_not_streamed_have_a_duration(store, warehouse, ship, new_event) -> None:
    """Of an hour and of several: there was nothing of them in the warehouse at all."""
    next_hour = HOUR + timedelta(hours=1)
    for hour in (HOUR, next_hour):
        ship(hour, [new_event(hour, stream=False, ttft_us=None, duration_us=n * 10**6) for n in (1, 2, 3)])
    roll_up(store, warehouse, [HOUR, next_hour], run_id="r", now=NOW)
    publish_copy(warehouse)
    copy = PublishedCopy(warehouse.directory)
    (of_hour,) = latencies(copy, HOUR, next_hour)
    assert (of_hour.ttft_count, of_hour.ttft_ms["p50"], of_hour.duration_ms["p50"]) == (0, None, 2000.0)
    (of_both,) = latencies(copy, HOUR, NOW)
    assert of_both.duration_ms["p50"] == pytest.approx(2000, rel=0.0102)


def test_cancelled_and_single_token_streams_have_no_itl(store, warehouse, ship, new_event, rows) -> None:
    ship(HOUR, [new_event(status="cancelled"), new_event(output_tokens=1), new_event(output_tokens=0)])
    roll_up(store, warehouse, [HOUR], run_id="r", now=NOW)
    (row,) = rows("deployment_hourly")
    assert (row["ttft_count"], row["itl_count"], row["itl_p50_ms"]) == (3, 0, None)


def test_an_hour_that_is_no_hour_is_refused(store, warehouse) -> None:
    for wrong in (HOUR + timedelta(minutes=1), HOUR.replace(tzinfo=None)):
        with pytest.raises(ValueError, match="not the start of an hour"):
            roll_up(store, warehouse, [wrong], run_id="r", now=NOW)

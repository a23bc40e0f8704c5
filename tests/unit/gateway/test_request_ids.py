"""The time of a request's id is the clock's now, whatever the clock said before."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from slipway.gateway.usage.call import Call
from slipway.records.usage import event_time, hour_of, new_request_id, request_id_at
from slipway.tenants.database import KeyRecord, digest

KEY = KeyRecord("key_1", "acme", "ann", "", digest("sk"), "sk", datetime.now(UTC), None, True)
NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
AHEAD = NOW + timedelta(hours=2)


def ns(instant: datetime) -> int:
    return round(instant.timestamp() * 1000) * 1_000_000


@pytest.fixture
def clock(monkeypatch):
    """Sets the clock of this process."""

    def set_to(instant: datetime) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: ns(instant))

    return set_to


def test_a_clock_that_was_ahead_and_is_corrected_is_followed_at_once(clock):
    """Two hours ahead is the next month: another hour, another price, another bill."""
    clock(AHEAD)
    ahead = Call(KEY, "/v1/chat/completions", time.perf_counter())
    clock(NOW)
    calls = [Call(KEY, "/v1/chat/completions", time.perf_counter()) for _ in range(3)]
    assert event_time(ahead.request_id) == AHEAD
    for call in calls:
        call.end("limited", None)
        event = call.event("gateway-0")
        assert event_time(event.request_id) == NOW
        assert datetime.fromisoformat(event.ts) == NOW
        assert hour_of(event_time(event.request_id)).month == 1
    assert len({call.request_id for call in calls}) == 3


@pytest.mark.parametrize("step", [timedelta(days=-365), timedelta(milliseconds=-1), timedelta(hours=1)])
def test_a_clock_may_be_set_by_any_amount(clock, step):
    for instant in (NOW, NOW + step, NOW):
        clock(instant)
        assert event_time(new_request_id()) == instant


def test_durations_do_not_follow_the_clock(clock):
    clock(AHEAD)
    call = Call(KEY, "/v1/chat/completions", time.perf_counter())
    clock(NOW)
    call.end("limited", None)
    assert 0 <= call.event("gateway-0").duration_us < 60_000_000


@pytest.mark.parametrize("chance", [0, 2**64 - 1, 0x0123456789ABCDEF])
@pytest.mark.parametrize("at", [0, 1, 999_999, ns(NOW), ns(NOW) + 999_999, -5])
def test_an_id_is_a_uuid_of_version_7_with_its_instant_first(at, chance):
    identity = uuid.UUID(request_id_at(at, chance))
    assert (identity.version, identity.variant) == (7, uuid.RFC_4122)
    assert identity.int >> 80 == max(0, at) // 1_000_000


def test_ids_of_one_millisecond_are_in_the_order_of_their_time():
    ids = [request_id_at(ns(NOW) + 300 * number, 2**64 - 1 - number) for number in range(3_333)]
    assert ids == sorted(ids)


def test_ids_of_the_same_instant_differ(clock):
    clock(NOW)
    assert len({new_request_id() for _ in range(10_000)}) == 10_000

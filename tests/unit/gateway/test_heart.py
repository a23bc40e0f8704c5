"""A replica's heartbeat: counts by the hour of ids, and what is written of which hour when."""

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from slipway.gateway.usage.heart import Heart
from slipway.objectstore import ObjectStore
from slipway.records.heartbeats import Heartbeat

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)


class FakeStore:
    """Keeps what is put; counts how often."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts = 0

    def put(self, key: str, body: bytes, **_: object) -> None:
        self.objects[key] = body
        self.puts += 1


def request_id(at: datetime) -> str:
    digits = f"{round(at.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def at(minutes: float) -> datetime:
    return HOUR + timedelta(minutes=minutes)


def told(store: FakeStore) -> list[tuple[int, int, datetime | None, datetime | None]]:
    """(hour since HOUR, recorded, first, last) of each object."""
    beats = [Heartbeat.decode(body) for _, body in sorted(store.objects.items())]
    return [
        ((beat.hour - HOUR) // timedelta(hours=1), beat.recorded, beat.first_at, beat.last_at)
        for beat in beats
    ]


def test_an_hour_is_told_while_it_runs_and_once_more_when_it_had_more() -> None:
    store, now = FakeStore(), [at(5)]
    heart = Heart("gateway-1", cast(ObjectStore, store), lambda: now[0])
    heart.beat()  # empty, and told: an hour without requests is known to be one
    heart.count(request_id(at(6)))
    heart.count(request_id(at(59.99)))
    now[0] = at(59)
    heart.beat()
    assert told(store) == [(0, 2, at(5), at(59))]
    heart.count(request_id(at(59.999)))  # it ends in the next hour
    now[0] = at(61)
    heart.beat()
    assert told(store) == [(0, 3, at(5), at(59)), (1, 0, at(61), at(61))]
    puts = store.puts
    now[0] = at(62)
    heart.beat()
    assert store.puts == puts + 1  # the running hour alone


def test_events_of_an_hour_before_the_start_are_told_without_having_been_there() -> None:
    store = FakeStore()
    heart = Heart("gateway-1", cast(ObjectStore, store), lambda: at(65))
    heart.count(request_id(at(30)))
    heart.beat()
    assert told(store) == [(0, 1, None, None), (1, 0, at(65), at(65))]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"hour": "2026-03-10T09:00:00"}',
        Heartbeat(HOUR, "g", "s", -1, None, None).encode(),
    ],
)
def test_what_is_no_heartbeat_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Heartbeat.decode(body)

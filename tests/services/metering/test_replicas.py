"""What ran in an hour, from samples on a real store: each instant once, and late ones too."""

from datetime import datetime, timedelta
from decimal import Decimal

from slipway.metering import replicas
from slipway.metering.checks import evaluate
from slipway.metering.publish import publish_copy, publish_parquet
from slipway.metering.published import PublishedCopy
from slipway.metering.warehouse import Warehouse
from slipway.objectstore import ObjectStore
from slipway.records.replica_samples import INTERVAL_S, Instant, Sample

from .conftest import HOUR


def sample(store: ObjectStore, at: datetime, *rows: Sample) -> None:
    instant = Instant(at, INTERVAL_S, rows)
    store.put(instant.key, instant.encode())


def chat(count: int, gpus: float = 0.0, gpu_class: str | None = None, digest: str = "a") -> Sample:
    return Sample("chat", digest * 64, count, gpus, gpu_class)


def test_an_hour_sums_up_what_ran_at_each_instant(store: ObjectStore, warehouse: Warehouse, rows) -> None:
    minutes = [HOUR + timedelta(minutes=n) for n in range(60)]
    for at in minutes[:10]:
        # A rollout: both revisions run, of one deployment.
        sample(
            store, at, chat(2, 1.0, "h100"), chat(1, 0.5, "h100", "b"), Sample("tone", "c" * 64, 1, 0, None)
        )
    for at in minutes[10:30]:
        sample(store, at, chat(2, 1.0, "h100"))
    for at in minutes[30:40]:
        sample(store, at)  # nothing ran, and somebody looked

    (found,) = replicas.roll_up(store, warehouse, [HOUR])
    sampled_s = 40 * INTERVAL_S
    assert (found.instants, found.sampled_s, found.unreadable) == (40, sampled_s, ())
    chat_s, tone_s = (10 * 3 + 20 * 2) * INTERVAL_S, 10 * INTERVAL_S
    gpu_s = Decimal("1.5") * 10 * INTERVAL_S + 20 * INTERVAL_S
    assert rows("replicas_hourly") == [
        {
            "hour": HOUR, "deployment": "chat", "gpu_class": "h100", "replica_seconds": chat_s,
            "gpu_seconds": gpu_s, "peak_replicas": 3, "sampled_s": sampled_s,
        },
        {
            "hour": HOUR, "deployment": "tone", "gpu_class": None, "replica_seconds": tone_s,
            "gpu_seconds": 0, "peak_replicas": 1, "sampled_s": sampled_s,
        },
    ]  # fmt: skip
    assert found.replica_seconds == chat_s + tone_s


def test_late_samples_are_counted_and_nothing_twice(store: ObjectStore, warehouse: Warehouse, rows) -> None:
    sample(store, HOUR, chat(1))
    sample(store, HOUR, chat(2))  # the same instant again: the last one counts
    sample(store, HOUR + timedelta(hours=1), chat(5))
    for _ in range(2):
        replicas.roll_up(store, warehouse, [HOUR])
    assert [row["replica_seconds"] for row in rows("replicas_hourly")] == [2 * INTERVAL_S]
    sample(store, HOUR + timedelta(minutes=59), chat(4))
    replicas.roll_up(store, warehouse, [HOUR, HOUR + timedelta(hours=1)])
    found = [(row["hour"], row["replica_seconds"], row["sampled_s"]) for row in rows("replicas_hourly")]
    assert found == [
        (HOUR, (2 + 4) * INTERVAL_S, 2 * INTERVAL_S),
        (HOUR + timedelta(hours=1), 5 * INTERVAL_S, INTERVAL_S),
    ]


def test_what_is_no_sample_is_named_and_the_rest_counts(
    store: ObjectStore, warehouse: Warehouse, rows
) -> None:
    sample(store, HOUR, chat(1))
    broken = f"{Instant(HOUR + timedelta(minutes=1), INTERVAL_S, ()).key}"
    store.put(broken, b'{"at": "2026-03-1')
    moved = Instant(HOUR + timedelta(hours=3), INTERVAL_S, (chat(9),))
    elsewhere = f"{Instant(HOUR + timedelta(minutes=2), INTERVAL_S, ()).key}"
    store.put(elsewhere, moved.encode())  # says that it is of another hour
    (found,) = replicas.roll_up(store, warehouse, [HOUR])
    assert (found.unreadable, found.instants) == ((broken, elsewhere), 1)
    assert [row["replica_seconds"] for row in rows("replicas_hourly")] == [INTERVAL_S]


def test_an_hour_without_samples_is_empty_and_readers_see_what_was_published(
    store: ObjectStore, warehouse: Warehouse
) -> None:
    sample(store, HOUR, chat(1))
    found = replicas.roll_up(store, warehouse, [HOUR, HOUR + timedelta(hours=1)])
    assert [each.instants for each in found] == [1, 0]
    publish_copy(warehouse)
    keys = publish_parquet(warehouse, store, [HOUR.date()], [replicas.TABLE])
    assert f"metering/replicas_hourly/day={HOUR.date()}.parquet" in keys
    copy = PublishedCopy(warehouse.directory)
    with copy.reading() as connection:
        assert connection.execute("SELECT count(*) FROM replicas_hourly").fetchone() == (1,)
    checks = {each.name: each.passed for each in evaluate(copy, [HOUR])}
    assert checks["keys_unique"]

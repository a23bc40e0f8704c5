"""The price history on a real store: every table that was taken is kept, and none is taken twice or lost."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from slipway.objectstore import ObjectStore
from slipway.records.price_history import (
    PREFIX,
    PriceHistory,
    PriceHistoryError,
    PriceRow,
    TakenPrices,
    key_of,
)

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, 0, 0, 123_456, tzinfo=UTC)
ROW = PriceRow("chat", None, JANUARY, None, "standard", 1, 2, 2**63 - 1, "EUR", "nothing", NOON)
OTHER = replace(ROW, deployment="d", org="acme", effective_to=NOON, assigned_from=None)


@pytest.fixture
def history(store: ObjectStore) -> PriceHistory:
    return PriceHistory(store)


def test_before_the_first_there_is_none_and_a_reader_that_needs_one_is_told_what_to_do(
    store: ObjectStore, history: PriceHistory
) -> None:
    assert history.latest() is None
    with pytest.raises(PriceHistoryError, match="materialize billing/prices") as refused:
        history.required()
    assert store.location.bucket in str(refused.value)


def test_prices_come_back_as_they_were_taken(history: PriceHistory) -> None:
    taken = history.take(lambda _, at: (ROW, OTHER), NOON)
    assert taken == TakenPrices(1, NOON, (ROW, OTHER))
    assert history.latest() == history.required() == taken


def test_prices_of_units_come_back_and_what_has_none_is_written_as_before_there_were_any() -> None:
    priced = replace(ROW, input_audio_pico=100_000, output_audio_pico=0, character_pico=15_000_000)
    body = TakenPrices(1, NOON, (ROW, priced)).encode()
    assert TakenPrices.decode(1, body) == TakenPrices(1, NOON, (ROW, priced))
    plain, with_units = json.loads(gzip.decompress(body))["rows"]
    assert plain.keys() == with_units.keys() - {"input_audio_pico", "output_audio_pico", "character_pico"}
    assert priced.terms()["input_audio_per_minute"] == "0.006"
    assert (priced.terms()["output_audio_per_minute"], ROW.terms()["characters_per_million"]) == (
        "0",
        "no price",
    )


def test_a_history_without_a_price_is_one(history: PriceHistory) -> None:
    history.take(lambda _, at: (), NOON)
    assert history.required() == TakenPrices(1, NOON, ())


def test_every_change_is_an_object_of_its_own_and_an_equal_table_is_none(
    store: ObjectStore, history: PriceHistory
) -> None:
    for rows in ((ROW,), (ROW,), (ROW, OTHER), (ROW, OTHER), (ROW,)):
        history.take(lambda _, at, rows=rows: rows, NOON)
    assert [stored.key for stored in store.list(PREFIX)] == [key_of(number) for number in (1, 2, 3)]
    bodies = [store.get(key_of(number)) or b"" for number in (1, 2, 3)]
    assert [TakenPrices.decode(1, body).rows for body in bodies] == [(ROW,), (ROW, OTHER), (ROW,)]


def test_writers_at_once_lose_no_price(store: ObjectStore, history: PriceHistory) -> None:
    def add(n: int) -> None:
        row = replace(ROW, deployment=f"d-{n}")
        PriceHistory(store).take(lambda before, at: (*(before.rows if before else ()), row), NOON)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(6)))
    taken = history.required()
    assert (taken.number, {row.deployment for row in taken.rows}) == (6, {f"d-{n}" for n in range(6)})


def test_a_clock_that_steps_back_takes_no_price_before_an_earlier_one(history: PriceHistory) -> None:
    history.take(lambda _, at: (ROW,), NOON)
    earlier = NOON - timedelta(hours=2)
    taken = history.take(lambda _, at: (replace(ROW, assigned_from=at),), earlier)
    assert taken.taken_at == taken.rows[0].assigned_from == NOON


def test_a_table_that_was_removed_from_the_middle_is_named(store: ObjectStore, history: PriceHistory) -> None:
    for n in range(3):
        history.take(lambda _, at, n=n: (replace(ROW, input_pico=n),), NOON)
    store.delete(key_of(2))
    with pytest.raises(PriceHistoryError, match=rf"{key_of(2)} is missing.* restore it from a backup"):
        history.latest()


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda body: b"",
        lambda body: b"<html>",
        lambda body: body[: len(body) // 2],
        lambda body: body[:-4] + b"\0\0\0\0",
        lambda body: TakenPrices(1, NOON, ()).encode()[:12] + b"\0" * 8,
    ],
    ids=["empty", "a page", "cut", "a wrong length", "garbage"],
)
def test_a_table_that_cannot_be_read_is_named_and_the_one_before_it_does_not_count(
    store: ObjectStore, history: PriceHistory, spoilt
) -> None:
    history.take(lambda _, at: (ROW,), NOON)
    history.take(lambda _, at: (ROW, OTHER), NOON)
    store.put(key_of(2), spoilt(store.get(key_of(2)) or b""))
    with pytest.raises(PriceHistoryError, match=rf"{key_of(2)} cannot be read: .*restore it from a backup"):
        history.latest()


DATED = '{"taken_at": "2026-01-01T00:00:00Z", "rows": '


@pytest.mark.parametrize(
    "document",
    ["[]", "{}", '{"taken_at": 1, "rows": []}', DATED + "[{}]}", DATED + '{"a": 1}}', "[" * 100_000],
)
def test_json_of_another_shape_is_no_price_table(document: str) -> None:
    with pytest.raises(ValueError):
        TakenPrices.decode(1, gzip.compress(document.encode()))

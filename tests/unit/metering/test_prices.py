"""Prices over time: intervals, what a change of the catalog does to them, and what it may not do."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from slipway.catalog import Catalog
from slipway.metering.prices import (
    ClosedPriceError,
    PriceBookError,
    PriceRow,
    PriceSchedule,
    check_append_only,
    in_force,
    merge,
    month_start,
    schedules,
)


def day(month: int, day_of_month: int = 1) -> datetime:
    return datetime(2026, month, day_of_month, tzinfo=UTC)


def entry(since: datetime, price: str, org: str | None = None) -> dict[str, Any]:
    return {"effective_from": since, "input": price, "cached_input": "0.01", "output": price, "org": org}


def catalog(price: str | None = "standard", bill_failed: str = "engine-output", **books: Any) -> Catalog:
    return Catalog.model_validate(
        {
            "deployments": [
                {"name": "chat", "model": "m", "runtime": "ray", "engine": "llamacpp", "price": price}
            ],
            "price_books": [
                {"name": name, "currency": "EUR", "bill_failed": bill_failed, "prices": entries}
                for name, entries in books.items()
            ],
        }
    )


def table(existing: tuple[PriceRow, ...], now: datetime, **books: Any) -> tuple[PriceRow, ...]:
    """What the price table holds after a sync at `now`."""
    wanted = merge(existing, schedules(catalog(**books)), now)
    check_append_only(existing, wanted, month_start(now))
    return wanted


def test_an_entry_is_in_force_until_the_next_one_of_its_scope() -> None:
    (schedule,) = schedules(
        catalog(standard=[entry(day(3), "0.3"), entry(day(1), "0.1"), entry(day(2), "9", "acme")])
    )
    assert [(row.org, row.effective_from, row.effective_to, row.input_pico) for row in schedule.rows] == [
        (None, day(1), day(3), 100_000),  # 0.1 per 1M tokens = 100,000 pico per token
        (None, day(3), None, 300_000),
        ("acme", day(2), None, 9_000_000),
    ]
    assert [row.version for row in schedule.rows] == [
        "standard@2026-01-01T00:00:00Z",
        "standard@2026-03-01T00:00:00Z",
        "standard/acme@2026-02-01T00:00:00Z",
    ]
    assert {(row.currency, row.bill_failed) for row in schedule.rows} == {("EUR", "engine-output")}


def test_an_orgs_own_price_goes_before_the_general_one_from_its_own_first_day() -> None:
    rows = schedules(catalog(standard=[entry(day(1), "0.1"), entry(day(2), "9", "acme")]))[0].rows
    found = [in_force(rows, org, at) for org, at in (("acme", day(1)), ("acme", day(2)), ("other", day(2)))]
    assert [row and row.input_pico for row in found] == [100_000, 9_000_000, 100_000]
    assert in_force(rows, "acme", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)) is None


def test_the_smallest_price_a_book_can_say_is_exact() -> None:
    book = [{**entry(day(1), "0"), "input": Decimal("0.000001"), "output": "123456.789012"}]
    (row,) = schedules(catalog(standard=book))[0].rows
    assert (row.input_pico, row.output_pico) == (1, 123_456_789_012)


def test_a_deployment_without_a_price_is_not_billed() -> None:
    assert schedules(catalog(price=None)) == (PriceSchedule("chat", None),)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry(day(1), "0.1"), entry(day(1), "0.2")], "two entries with effective_from = 2026-01-01"),
    ],
)
def test_a_book_that_makes_no_sense_is_refused_by_name(entries: list[Any], message: str) -> None:
    with pytest.raises(PriceBookError, match="price book standard") as refused:
        schedules(catalog(standard=entries))
    assert message in str(refused.value)


def test_a_sync_without_a_change_changes_nothing() -> None:
    once = table((), day(1), standard=[entry(day(1), "0.1"), entry(day(2), "0.2", "acme")])
    again = table(once, day(5), standard=[entry(day(1), "0.1"), entry(day(2), "0.2", "acme")])
    assert again == once


def test_a_new_entry_in_the_open_month_is_appended() -> None:
    once = table((), day(1), standard=[entry(day(1), "0.1")])
    twice = table(once, day(4, 20), standard=[entry(day(1), "0.1"), entry(day(4, 10), "0.2")])
    assert [(row.effective_from, row.effective_to) for row in twice] == [
        (day(1), day(4, 10)),
        (day(4, 10), None),
    ]


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([entry(day(1), "0.2")], "input = 0.2 in the catalog (standard@2026-01-01T00:00:00Z), 0.1 was"),
        ([entry(day(3, 31), "0.1")], "the catalog no longer has it"),
        ([entry(day(1), "0.1"), entry(day(3), "0.2")], "output = 0.2 in the catalog (standard@2026-03-01"),
        ([entry(day(1), "0.1"), entry(day(2), "0.2", "acme")], "(standard/acme@2026-02-01T00:00:00Z)"),
    ],
    ids=["edited", "removed", "backdated", "backdated for one org"],
)
def test_a_price_in_force_in_a_closed_month_cannot_change(entries: list[Any], found: str) -> None:
    once = table((), day(1), standard=[entry(day(1), "0.1")])
    with pytest.raises(ClosedPriceError) as refused:
        table(once, day(4, 20), standard=entries)
    message = str(refused.value)
    assert "price book standard, entry standard@2026-01-01T00:00:00Z (deployment chat)" in message
    assert found in message
    assert "effective_from at or after 2026-04-01T00:00:00Z" in message


def test_what_a_failed_request_costs_cannot_change_in_a_closed_month_either() -> None:
    once = table((), day(1), standard=[entry(day(1), "0.1")])
    wanted = schedules(catalog(standard=[entry(day(1), "0.1")], bill_failed="nothing"))
    with pytest.raises(ClosedPriceError, match="bill_failed = nothing in the catalog"):
        check_append_only(once, merge(once, wanted, day(4)), day(4))


def test_every_forbidden_change_is_reported_at_once() -> None:
    once = table((), day(1), standard=[entry(day(1), "0.1"), entry(day(2), "0.2")])
    with pytest.raises(ClosedPriceError) as refused:
        table(once, day(4), standard=[entry(day(1), "0.5"), entry(day(2), "0.6")])
    assert len(str(refused.value).splitlines()) == 2


def test_a_deployment_moves_to_another_book_at_the_moment_of_the_sync() -> None:
    books: Any = {"standard": [entry(day(1), "0.1")], "premium": [entry(day(1), "0.9")]}
    once = table((), day(1), **books)
    moved = table(once, day(4, 10), price="premium", **books)
    assert [(row.version, row.effective_to, row.input_pico) for row in moved] == [
        ("standard@2026-01-01T00:00:00Z", day(4, 10), 100_000),
        ("premium@2026-04-10T00:00:00Z", None, 900_000),
    ]
    assert table(moved, day(5), price="premium", **books) == moved
    back = table(moved, day(6), price="standard", **books)
    assert [(row.version, row.effective_to) for row in back][1:] == [
        ("premium@2026-04-10T00:00:00Z", day(6)),
        ("standard@2026-06-01T00:00:00Z", None),
    ]
    assert table(back, day(7), price="standard", **books) == back


def test_taking_the_price_away_ends_it_and_giving_it_back_leaves_the_gap_free() -> None:
    books: Any = {"standard": [entry(day(1), "0.1")]}
    ended = table(table((), day(1), **books), day(4), price=None, **books)
    assert [row.effective_to for row in ended] == [day(4)]
    assert table(ended, day(5), price=None, **books) == ended
    given_back = table(ended, day(6), **books)
    assert [(row.effective_from, row.effective_to) for row in given_back] == [
        (day(1), day(4)),
        (day(6), None),
    ]


def test_a_deployment_that_left_the_catalog_keeps_its_price_for_its_last_requests() -> None:
    once = table((), day(2), standard=[entry(day(1), "0.1")])
    assert merge(once, (), day(3)) == once


# What nobody knew of yet is not billed

NOON = datetime(2026, 4, 10, 12, tzinfo=UTC)


def covered(rows: tuple[PriceRow, ...], org: str | None = None) -> list[tuple[datetime, datetime | None]]:
    return [(row.effective_from, row.effective_to) for row in rows if row.org == org]


def test_a_first_price_is_in_force_from_the_moment_of_its_assignment() -> None:
    books: Any = {"standard": [entry(day(1), "0.1"), entry(day(2), "0.2"), entry(day(5), "0.3")]}
    free = table((), day(1), price=None, **books)
    assert free == ()
    assigned = table(free, NOON, **books)
    assert covered(assigned) == [(NOON, day(5)), (day(5), None)]
    assert [row.input_pico for row in assigned] == [200_000, 300_000]
    assert table(assigned, day(6), **books) == assigned


def test_a_deployment_that_is_new_to_the_catalog_is_billed_from_the_moment_that_it_was_known() -> None:
    once = table((), NOON, standard=[entry(day(1), "0.1"), entry(day(2), "9", "acme")])
    assert covered(once) == covered(once, "acme") == [(NOON, None)]


def test_a_first_price_that_lies_ahead_begins_when_it_says() -> None:
    once = table((), NOON, standard=[entry(day(6), "0.1")])
    assert covered(once) == [(day(6), None)]
    sooner = [entry(day(4, 1), "0.2"), entry(day(6), "0.1")]
    again = table(once, day(4, 20), standard=sooner)
    assert covered(again) == [(day(4, 20), day(6)), (day(6), None)]
    assert table(again, day(7), standard=sooner) == again


@pytest.mark.parametrize("since", [day(1), day(3, 31), day(4, 1)], ids=["long ago", "closed", "open month"])
def test_a_general_price_beside_an_orgs_own_bills_nobody_for_what_was_free(since: datetime) -> None:
    own = [entry(day(1), "9", "acme")]
    once = table((), day(1), standard=own)
    both = table(once, NOON, standard=[*own, entry(since, "0.1")])
    assert covered(both) == [(NOON, None)]
    assert covered(both, "acme") == [(day(1), None)]
    assert table(both, day(7), standard=[*own, entry(since, "0.1")]) == both


def test_the_gap_between_two_assignments_of_one_book_stays_free_when_entries_are_added() -> None:
    books: Any = {"standard": [entry(day(1), "0.1")]}
    ended = table(table((), day(1), **books), day(3), price=None, **books)
    back = table(ended, NOON, **books)
    more: Any = {"standard": [entry(day(1), "0.1"), entry(day(4, 5), "0.2")]}
    assert covered(table(back, day(4, 20), **more)) == [(day(1), day(3)), (NOON, None)]


def test_what_an_earlier_version_took_without_an_assignment_stays_in_force_as_it_was() -> None:
    books: Any = {"standard": [entry(day(1), "0.1")]}
    (schedule,) = schedules(catalog(**books))
    assert table(schedule.rows, NOON, **books) == schedule.rows


def test_an_orgs_own_price_may_go_before_a_general_one_that_was_in_force_in_the_open_month() -> None:
    general = [entry(day(1), "0.1")]
    once = table((), day(1), standard=general)
    both = table(once, NOON, standard=[*general, entry(day(4, 2), "9", "acme")])
    assert covered(both, "acme") == [(day(4, 2), None)]


def test_a_table_that_bills_a_closed_month_in_which_nothing_was_in_force_is_refused() -> None:
    (schedule,) = schedules(catalog(standard=[entry(day(2), "0.1")]))
    with pytest.raises(ClosedPriceError, match="nothing was in force at 2026-02-01T00:00:00Z") as refused:
        check_append_only((), schedule.rows, day(4))
    assert "effective_from at or after 2026-04-01T00:00:00Z" in str(refused.value)


def with_units(since: datetime, **units: str) -> dict[str, Any]:
    return {**entry(since, "1"), **units}


def heard(rows: tuple[PriceRow, ...]) -> list[tuple[datetime, datetime | None, int | None]]:
    return [(row.effective_from, row.effective_to, row.input_audio_pico) for row in rows]


def test_a_units_price_is_a_whole_number_of_picos_for_each() -> None:
    (schedule,) = schedules(
        catalog(
            standard=[
                with_units(
                    day(1), input_audio_per_minute="0.006", output_audio_per_minute="0",
                    characters_per_million="15", documents_per_thousand="0.05", searches_per_thousand="2",
                )
            ]
        )
    )  # fmt: skip
    (row,) = schedule.rows
    assert (row.input_audio_pico, row.output_audio_pico) == (100_000, 0)
    assert (row.character_pico, row.document_pico, row.search_pico) == (15_000_000, 50_000_000, 2_000_000_000)


def test_a_unit_that_had_no_price_is_billed_from_the_moment_at_which_its_price_was_taken() -> None:
    """What was used of it before stays free, in this month and in closed ones."""
    first = table((), day(1), standard=[with_units(day(1))])
    priced = [with_units(day(1), input_audio_per_minute="0.006")]
    taken = table(first, day(3, 10), standard=priced)
    assert heard(taken) == [(day(1), day(3, 10), None), (day(3, 10), None, 100_000)]
    assert [row.version for row in taken] == [
        "standard@2026-01-01T00:00:00Z",
        "standard@2026-03-10T00:00:00Z",
    ]
    assert table(taken, day(3, 11), standard=priced) == taken
    dearer = [with_units(day(1), input_audio_per_minute="0.012")]
    corrected = table(taken, day(3, 11), standard=dearer)
    assert heard(corrected) == [(day(1), day(3, 10), None), (day(3, 10), None, 200_000)]
    with pytest.raises(
        ClosedPriceError, match=r"input_audio_per_minute = 0\.012 in the catalog .*, 0\.006 was"
    ):
        table(taken, day(4, 2), standard=dearer)
    with pytest.raises(ClosedPriceError, match="input_audio_per_minute = no price in the catalog"):
        table(taken, day(4, 2), standard=[with_units(day(1))])


def test_an_entry_that_lies_ahead_prices_a_unit_from_then_on() -> None:
    first = table((), day(1), standard=[with_units(day(1))])
    ahead = [with_units(day(1)), with_units(day(4), input_audio_per_minute="0.006")]
    assert heard(table(first, day(3, 10), standard=ahead)) == [
        (day(1), day(4), None),
        (day(4), None, 100_000),
    ]

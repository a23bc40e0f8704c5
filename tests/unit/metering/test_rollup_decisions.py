"""Chunks, fingerprints and checks: decisions over values."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from slipway.metering.checks import cost_reconciles, keys_unique, tokens_conserved
from slipway.metering.compacted import Compacted, Contents
from slipway.metering.fingerprint import arranged, fingerprint
from slipway.metering.rollup import MAX_CHUNK_BYTES, chunks
from slipway.metering.staleness import RolledUp, differs, lost_objects
from slipway.objectstore import StoredObject

HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)


def hours(count: int) -> list[datetime]:
    return [HOUR + timedelta(hours=n) for n in range(count)]


def test_a_year_of_small_hours_is_cut_into_days() -> None:
    cut = chunks(dict.fromkeys(reversed(hours(8760)), 10))
    assert [len(chunk) for chunk in cut] == [24] * 365
    assert [hour for chunk in cut for hour in chunk] == hours(8760)


def test_a_chunk_is_bounded_by_bytes_and_a_larger_hour_stands_alone() -> None:
    tenth = MAX_CHUNK_BYTES // 10
    sizes = dict(zip(hours(5), [4 * tenth, 4 * tenth, 4 * tenth, 100 * tenth, tenth], strict=True))
    assert [[sizes[hour] // tenth for hour in chunk] for chunk in chunks(sizes)] == [[4, 4], [4], [100], [1]]


def test_a_fingerprint_follows_keys_sizes_and_tags_but_not_the_order() -> None:
    one, two = StoredObject("usage/a", 1, "x"), StoredObject("usage/b", 2, "y")
    assert fingerprint([one, two]) == fingerprint([two, one])
    changed = [
        StoredObject("usage/c", 1, "x"),
        StoredObject("usage/a", 2, "x"),
        StoredObject("usage/a", 1, "z"),
    ]
    assert len({fingerprint([other]) for other in (one, *changed)}) == 4


def test_a_fingerprint_does_not_mind_how_a_store_quotes_its_tags() -> None:
    """Listing and reading may differ in it: an hour would be rolled up for ever."""
    tags = ('"x"', "x", 'W/"x"')
    assert len({fingerprint([StoredObject("usage/a", 1, tag)]) for tag in tags}) == 1


def test_an_hour_differs_when_its_objects_do() -> None:
    one, two = StoredObject("usage/a", 1, "x"), StoredObject("usage/b", 2, "y")
    rolled_up = RolledUp(fingerprint([one]), 1, True)
    assert differs(HOUR, rolled_up, fingerprint([one]), 1) is None and not lost_objects(rolled_up, 1)
    for others in ([two], [one, two]):
        found = differs(HOUR, rolled_up, fingerprint(others), len(others))
        assert found is not None and found.fingerprint == fingerprint(others)
    assert lost_objects(rolled_up, 0)


def test_a_compacted_hour_is_read_once_whatever_is_beside_it() -> None:
    first, second, late = (StoredObject(f"usage/{name}", 1, "x") for name in "abc")
    changed = StoredObject("usage/a", 2, "y")
    old, new = compacted("old", first), compacted("new", first, second)
    hour = arranged([first, second], [old, new])
    assert (hour.compacted, hour.small) == ((new,), ())
    assert (hour.covered, hour.superseded) == ((first, second), (old,))
    assert arranged([late], [new]).small == (late,)
    assert arranged([changed], [new]).small == (changed,)
    for small, there in (([first, second], ()), ([], (new,)), ([second], (new, old)), ([second], (old,))):
        assert fingerprint(arranged(small, there).shipped) == fingerprint([first, second])
    assert fingerprint(arranged([late], [new]).shipped) == fingerprint([first, second, late])


def compacted(name: str, *made_of: StoredObject) -> Compacted:
    stored = StoredObject(f"usage/{name}.parquet", 9, "z")
    return Compacted(stored, HOUR, made_of, Contents(1, 1, 1, "", ""))


UNITS = {"input_audio_ms": 60_000, "output_audio_ms": 7, "characters": 5, "documents": 40, "searches": 2}
TOKENS = {"requests": 3, "input_tokens": 30, "cached_tokens": 10, "output_tokens": 7, **UNITS}
HOUR_ROW: dict[str, Any] = {
    "hour": HOUR,
    **TOKENS,
    **{f"latency_{name}": value for name, value in TOKENS.items()},
    **{f"usage_{name}": value for name, value in TOKENS.items()},
}


@pytest.mark.parametrize(
    "field", ["latency_requests", "usage_input_tokens", "usage_cached_tokens", "output_tokens", *UNITS]
)
def test_a_token_that_went_missing_fails_the_check_and_is_shown(field: str) -> None:
    assert tokens_conserved([HOUR_ROW]).passed
    result = tokens_conserved([HOUR_ROW, {**HOUR_ROW, field: HOUR_ROW[field] - 1}])
    assert not result.passed and result.severity == "error"
    assert result.evidence["hours_that_differ"] == [
        {**HOUR_ROW, field: HOUR_ROW[field] - 1, "hour": str(HOUR)}
    ]


# 10^18 tokens at 10^12 pico: far more digits than a float or Python's default decimal context keeps.
COST_ROW: dict[str, Any] = {
    "hour": HOUR, "org": "acme", "deployment": "chat", "price_version": "v",
    "input_uncached": 10**18 + 1, "input_cached": 1, "output": 1,
    "price_input": 10**12, "price_cached": 1, "price_output": 1, "prices_found": 1,
    **UNITS,
    "price_input_audio_ms": 100_000, "price_output_audio_ms": 10**12, "price_characters": 1,
    "price_documents": 2_000_000_000, "price_searches": 0,
    "in_tiers": 0, "by_tier": 0, "tier_pico": 0, "minimum_cost": Decimal(0),
    "cost": Decimal("1000000000000000008.086000000007"),
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"cost": COST_ROW["cost"] + Decimal("0.000000000001")},
        {"cost": None},
        {"prices_found": 0, "price_input": None},
        {"prices_found": 2},
        {"in_tiers": 1},
        {"by_tier": 1},
    ],
)
def test_a_cost_off_by_a_pico_fails_the_check(change: dict[str, Any]) -> None:
    assert cost_reconciles([COST_ROW]).passed
    result = cost_reconciles([{**COST_ROW, **change}])
    assert not result.passed
    assert result.evidence["groups_that_differ"][0]["used_times_price"] in {str(COST_ROW["cost"]), "None"}


def test_what_stands_in_tiers_and_minimums_are_part_of_the_cost() -> None:
    tiered = {"in_tiers": 7, "by_tier": 7, "tier_pico": 5, "minimum_cost": Decimal("0.000000000004")}
    row = {**COST_ROW, **tiered, "cost": Decimal("1000000000000000008.086000000016")}
    assert cost_reconciles([row]).passed
    assert not cost_reconciles([{**row, "tier_pico": 4}]).passed


def test_usage_without_a_price_has_nothing_to_reconcile() -> None:
    assert cost_reconciles([{**COST_ROW, "price_version": None, "cost": None, "prices_found": 0}]).passed


def test_a_shared_key_fails_the_check_with_its_evidence() -> None:
    assert keys_unique([]).passed
    result = keys_unique([{"table": "usage_hourly", "key": "[a]", "n": 2}])
    assert not result.passed and result.evidence["rows"] == [{"table": "usage_hourly", "key": "[a]", "n": 2}]

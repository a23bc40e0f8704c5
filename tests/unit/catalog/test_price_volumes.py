"""Tiers, free volumes and minimums in a price book: what is taken, and what is refused with what to do."""

from decimal import Decimal
from pathlib import Path

import pytest

from slipway.catalog.documents import Price
from slipway.catalog.files.loader import load
from slipway.catalog.problems import CatalogError

BOOK = """
kind: PriceBook
name: standard
spec:
  currency: {currency}
  prices:
    - effective_from: 2026-01-01T00:00:00Z
      input: "0.5"
      cached_input: "0.1"
      output: "1.5"
      {terms}
"""


def written(tmp_path: Path, terms: str, currency: str = "EUR") -> Price:
    (tmp_path / "catalog.yaml").write_text(BOOK.format(terms=terms, currency=currency))
    return load(tmp_path).catalog.price_books[0].prices[0]


def test_tiers_and_what_is_free_are_taken_by_unit(tmp_path: Path) -> None:
    terms = (
        'tiers: {output: [{above: 100, price: "1.2"}, {above: 200, price: "0"}]}\n'
        '      free_per_month: {input: 7}\n      minimum_per_request: "0.000000000001"'
    )
    price = written(tmp_path, terms)
    assert [(tier.above, tier.price) for tier in price.tiers.output] == [
        (100, Decimal("1.2")),
        (200, Decimal(0)),
    ]
    assert (price.free_per_month.input, price.minimum_per_request) == (7, Decimal("1E-12"))


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (
            'tiers: {output: [{above: 200, price: "1"}, {above: 200, price: "2"}]}',
            "a tier above 200 follows one above 200, so that they overlap",
        ),
        (
            'tiers: {output: [{above: 200, price: "1"}, {above: 100, price: "2"}]}',
            "a tier above 100 follows one above 200",
        ),
        (
            'tiers: {searches: [{above: 2, price: "1"}]}',
            "tiers.searches is given and searches_per_thousand",
        ),
        (
            "free_per_month: {characters: 9}",
            "free_per_month.characters is given and characters_per",
        ),
        (
            'free_per_month: {output: 100}\n      tiers: {output: [{above: 100, price: "1"}]}',
            "free_per_month.output = 100 reaches over tiers.output[0].above = 100",
        ),
        ('tiers: {output: [{above: 0, price: "1"}]}', "above"),
        ('tiers: {output: [{above: 10, price: "-1"}]}', "negative"),
        ('minimum_per_request: "-0.1"', "negative"),
        ('minimum_per_request: "0.0000000000001"', "per request"),
        ("minimum_per_request: 0.1", "a float"),
    ],
)
def test_volumes_that_contradict_are_refused(tmp_path: Path, terms: str, message: str) -> None:
    with pytest.raises(CatalogError) as refused:
        written(tmp_path, terms)
    said = "\n".join(map(str, refused.value.problems))
    assert message in said and "catalog.yaml:" in said


@pytest.mark.parametrize(
    ("currency", "message"),
    [
        ("XAU", "has no minor unit"),
        ("DEM", "no currency of ISO 4217"),
        ("XXQ", "no currency"),
        ("usd", "currency"),
    ],
)
def test_what_no_invoice_can_be_in_is_refused(tmp_path: Path, currency: str, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        written(tmp_path, "org: null", currency)


def test_two_prices_of_one_model_from_one_instant_are_refused_and_of_two_are_not(tmp_path: Path) -> None:
    entry = '- {effective_from: 2026-01-01T00:00:00Z, input: "1", cached_input: "1", output: "1", model: %s}'
    first, second = entry % "law", entry % "tax"
    written(tmp_path, f"org: null\n    {first}\n    {second}")
    with pytest.raises(CatalogError, match="2026-01-01"):
        written(tmp_path, f"org: null\n    {first}\n    {first}")

"""What nobody would pay for is said before it is used: prices of a catalog, by who may use what, and when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway.catalog import Catalog, Deployment
from slipway.catalog.documents import PriceBook
from slipway.catalog.rules.billing import prices_in_force, unpriced

NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
BEGUN, LATER = "2026-01-01T00:00:00Z", "2126-01-01T00:00:00Z"


def entry(since: str = BEGUN, org: str | None = None) -> dict[str, Any]:
    return {"effective_from": since, "input": "1", "cached_input": "1", "output": "1", "org": org}


def said(sharing: Any, *entries: dict[str, Any], price: str | None = "standard") -> list[str]:
    deployment = {
        "name": "chat", "model": "m", "engine": "e", "runtime": "ray", "price": price, "sharing": sharing,
    }  # fmt: skip
    catalog = Catalog(
        deployments=(Deployment.model_validate(deployment),),
        price_books=(PriceBook.model_validate({"name": "standard", "prices": entries}),),
    )
    found = list(unpriced(catalog, NOW))
    assert all((each.severity, each.path) == ("warning", ("price",)) for each in found)
    return [each.message for each in found]


@pytest.mark.parametrize(
    ("sharing", "entries", "who"),
    [
        ("all", [entry(LATER)], "for anybody, so that what they use now is not billed; the first one"),
        ("all", [entry(org="acme")], "for organisations other than acme"),
        ("all", [entry(org="acme"), entry(LATER)], "for organisations other than acme"),
        ("all", [entry(LATER, "acme")], "for anybody"),
        (["acme", "globex"], [entry(org="acme")], "for globex, so"),
        (["acme"], [entry(LATER, "acme")], "for acme, so"),
        (["acme"], [entry(org="globex")], "for acme, so"),
        (list("abcde"), [entry(LATER)], "for a, b, c and 2 more"),
    ],
)  # fmt: skip
def test_who_may_use_it_and_has_no_price_in_force_is_told(
    sharing: Any, entries: list[dict[str, Any]], who: str
) -> None:
    (message,) = said(sharing, *entries)
    assert who in message


@pytest.mark.parametrize(
    ("sharing", "entries"),
    [
        ("all", [entry()]),
        ("all", [entry(), entry(LATER)]),
        ("none", [entry(LATER)]),
        (["acme"], [entry(org="acme")]),
        (["acme"], [entry(), entry(LATER, "acme")]),
        ("all", [entry(NOW.isoformat())]),
    ],
)
def test_who_has_one_is_not(sharing: Any, entries: list[dict[str, Any]]) -> None:
    assert said(sharing, *entries) == []


def test_a_deployment_without_a_book_is_free_as_it_says() -> None:
    assert said("all", entry(LATER), price=None) == []


def test_the_check_asks_the_clock() -> None:
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    deployment = {"name": "c", "model": "m", "engine": "e", "runtime": "ray", "price": "p", "sharing": "all"}
    catalog = Catalog(
        deployments=(Deployment.model_validate(deployment),),
        price_books=(PriceBook.model_validate({"name": "p", "prices": [entry(soon)]}),),
    )
    assert len(list(prices_in_force(catalog))) == 1

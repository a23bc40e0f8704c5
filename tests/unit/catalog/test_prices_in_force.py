"""What nobody would pay for is said before it is used: prices of a catalog, by who may use what, and when."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from slipway.catalog import Catalog, Deployment, Model
from slipway.catalog.documents import PriceBook
from slipway.catalog.rules.billing import prices_in_force, unpriced, unpriced_units

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


@pytest.mark.parametrize(
    ("task", "terms", "missing"),
    [
        ("speech-to-text", {}, "minutes of audio that is heard"),
        ("speech-to-text", {"characters_per_million": "1"}, "Give its entries input_audio_per_minute"),
        ("speech-to-text", {"input_audio_per_minute": "0"}, None),
        ("text-to-speech", {}, "characters_per_million or output_audio_per_minute"),
        ("text-to-speech", {"output_audio_per_minute": "0.006"}, None),
        ("text-to-speech", {"characters_per_million": "15"}, None),
        ("rerank", {}, "documents or searches"),
        ("rerank", {"searches_per_thousand": "2"}, None),
        ("embedding", {}, None),
        ("text-generation", {}, None),
    ],
)
def test_what_a_task_uses_besides_tokens_has_a_price_or_it_is_told(
    task: str, terms: dict[str, str], missing: str | None
) -> None:
    deployment = {"name": "c", "model": "m", "engine": "e", "runtime": "ray", "price": "p", "sharing": "all"}
    catalog = Catalog(
        models=(Model.model_validate({"name": "m", "source": "file:///m", "task": task}),),
        deployments=(Deployment.model_validate(deployment),),
        price_books=(
            PriceBook.model_validate({"name": "p", "prices": [{**entry("2025-01-01T00:00:00Z"), **terms}]}),
        ),
    )
    found = [each.message for each in unpriced_units(catalog)]
    assert len(found) == (missing is not None) and all(missing in each for each in found if missing)


@pytest.mark.parametrize(
    ("field", "price", "refused"),
    [
        ("input_audio_per_minute", "0.006", None),
        ("input_audio_per_minute", "0.00429996", None),
        ("input_audio_per_minute", "0.0043", "Write 0.00429996 or 0.00430002"),
        ("output_audio_per_minute", "0.00000001", "Write 0 or 0.00000006"),
        ("output_audio_per_minute", "-0.006", "negative"),
        ("characters_per_million", "15", None),
        ("characters_per_million", "0.0000001", "finer than a millionth"),
        ("documents_per_thousand", "0.000000001", None),
        ("documents_per_thousand", "0.0000000001", "Write 0 or 0.000000001"),
        ("searches_per_thousand", "2.00", None),
        ("searches_per_thousand", "1e20", "which nobody means"),
    ],
)
def test_a_price_that_cannot_be_billed_to_the_last_digit_is_refused_with_the_next_ones(
    field: str, price: str, refused: str | None
) -> None:
    document = {"name": "p", "prices": [{**entry(), field: price}]}
    if refused is None:
        assert getattr(PriceBook.model_validate(document).prices[0], field) == Decimal(price)
    else:
        with pytest.raises(ValueError, match=re.escape(refused)):
            PriceBook.model_validate(document)
